/** Which GPUs this process may use, and what each is. Asking makes no context on the device and takes no memory of it. */

import { type CudaDriver, versionText } from './driver.ts';
import { DRIVER_CONSTANTS, UUID_BYTES } from './driver-declarations.ts';

const NAME_BYTES = 256;
const BUS_ID_BYTES = 16;

export interface CudaDevice {
  /** Its number in this process (CUDA_VISIBLE_DEVICES changes it). */
  readonly ordinal: number;
  /** The driver's handle. */
  readonly handle: number;
  readonly name: string;
  /** `GPU-8-4-4-4-12`, as nvidia-smi writes it: the same in every process. */
  readonly uuid: string;
  /** `sm_90`: what kernels are compiled for. */
  readonly architecture: string;
  readonly memoryBytes: number;
  /** `0000:1B:00.0` */
  readonly pciBusId: string;
  readonly multiprocessors: number;
}

export function cudaDevices(driver: CudaDriver): CudaDevice[] {
  return Array.from({ length: driver.deviceCount }, (_, ordinal) => describe(driver, ordinal));
}

function describe(driver: CudaDriver, ordinal: number): CudaDevice {
  const int = new Int32Array(1);
  driver.call('cuDeviceGet', int, ordinal);
  const handle = int[0]!;
  const attribute = (name: keyof typeof DRIVER_CONSTANTS): number => {
    driver.call('cuDeviceGetAttribute', int, DRIVER_CONSTANTS[name], handle);
    return int[0]!;
  };
  const bytes = new BigUint64Array(1);
  driver.call('cuDeviceTotalMem_v2', bytes, handle);
  const uuid = new Uint8Array(UUID_BYTES);
  driver.call('cuDeviceGetUuid_v2', uuid, handle);
  const text = (call: 'cuDeviceGetName' | 'cuDeviceGetPCIBusId', length: number): string => {
    const into = Buffer.alloc(length);
    driver.call(call, into, length, handle);
    const end = into.indexOf(0);
    return into.toString('utf8', 0, end < 0 ? length : end);
  };
  const major = attribute('CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR');
  const minor = attribute('CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR');
  return {
    ordinal,
    handle,
    name: text('cuDeviceGetName', NAME_BYTES),
    uuid: uuidText(uuid),
    architecture: `sm_${major}${minor}`,
    memoryBytes: Number(bytes[0]),
    pciBusId: text('cuDeviceGetPCIBusId', BUS_ID_BYTES),
    multiprocessors: attribute('CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT'),
  };
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** One line a device, for people. */
export function deviceLine(driver: CudaDriver, device: CudaDevice): string {
  const gigabytes = (device.memoryBytes / 1e9).toFixed(1);
  return (
    `${device.ordinal}  ${device.name}  ${device.architecture}, ${device.multiprocessors} multiprocessors, ` +
    `${gigabytes} GB  ${device.pciBusId}  ${device.uuid}  (driver: CUDA ${versionText(driver.version)})`
  );
}
