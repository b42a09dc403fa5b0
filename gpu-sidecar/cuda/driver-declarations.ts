/**
 * What is called of the CUDA driver API: types, functions and numbers, once, as cuda.h of CUDA 12 has them. Functions that
 * changed carry the suffix under which the driver exports the form meant here. All of them are in drivers since
 * `LEAST_DRIVER_VERSION` and, unchanged, in those of CUDA 13.
 */

import koffi from 'koffi';

/** CUDA 12.0, as `cuDriverGetVersion` counts. */
export const LEAST_DRIVER_VERSION = 12_000;

/** Bytes of the driver's structs, which are passed as they are. */
export const UUID_BYTES = 16;
export const IPC_HANDLE_BYTES = 64;

export const DRIVER_CONSTANTS = {
  CUDA_SUCCESS: 0,
  CUDA_ERROR_OUT_OF_MEMORY: 2,
  CUDA_ERROR_NO_DEVICE: 100,
  CUDA_ERROR_NOT_READY: 600,
  CU_STREAM_NON_BLOCKING: 1,
  CU_EVENT_DISABLE_TIMING: 2,
  CU_MEMHOSTALLOC_PORTABLE: 1,
  CU_MEMHOSTALLOC_DEVICEMAP: 2,
  CU_MEMHOSTREGISTER_PORTABLE: 1,
  CU_MEMHOSTREGISTER_DEVICEMAP: 2,
  CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS: 1,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: 76,
} as const;

/** What can be asked before anything else, of any driver. */
export const FIRST_CALLS = {
  cuInit: 'unsigned int Flags',
  cuDriverGetVersion: 'int *driverVersion',
  cuGetErrorName: 'CUresult error, const char **pStr',
  cuGetErrorString: 'CUresult error, const char **pStr',
  cuDeviceGetCount: 'int *count',
} as const;

export const DRIVER_CALLS = {
  ...FIRST_CALLS,
  cuDeviceGet: 'CUdevice *device, int ordinal',
  cuDeviceGetName: 'char *name, int len, CUdevice dev',
  cuDeviceGetUuid_v2: 'CUuuid *uuid, CUdevice dev',
  cuDeviceTotalMem_v2: 'size_t *bytes, CUdevice dev',
  cuDeviceGetAttribute: 'int *pi, CUdevice_attribute attrib, CUdevice dev',
  cuDeviceGetPCIBusId: 'char *pciBusId, int len, CUdevice dev',
  cuDevicePrimaryCtxRetain: 'CUcontext *pctx, CUdevice dev',
  cuDevicePrimaryCtxRelease_v2: 'CUdevice dev',
  cuCtxSetCurrent: 'CUcontext ctx',
  cuMemGetInfo_v2: 'size_t *free, size_t *total',
  cuMemAlloc_v2: 'CUdeviceptr *dptr, size_t bytesize',
  cuMemFree_v2: 'CUdeviceptr dptr',
  cuMemHostAlloc: 'void **pp, size_t bytesize, unsigned int Flags',
  cuMemFreeHost: 'void *p',
  cuMemHostRegister_v2: 'void *p, size_t bytesize, unsigned int Flags',
  cuMemHostUnregister: 'void *p',
  cuMemHostGetDevicePointer_v2: 'CUdeviceptr *pdptr, void *p, unsigned int Flags',
  cuMemcpyHtoD_v2: 'CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount',
  cuMemcpyDtoH_v2: 'void *dstHost, CUdeviceptr srcDevice, size_t ByteCount',
  cuMemcpyHtoDAsync_v2: 'CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount, CUstream hStream',
  cuMemcpyDtoHAsync_v2: 'void *dstHost, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream',
  cuMemcpyDtoDAsync_v2: 'CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount, CUstream hStream',
  cuStreamCreate: 'CUstream *phStream, unsigned int Flags',
  cuStreamDestroy_v2: 'CUstream hStream',
  cuStreamSynchronize: 'CUstream hStream',
  cuStreamWaitEvent: 'CUstream hStream, CUevent hEvent, unsigned int Flags',
  cuEventCreate: 'CUevent *phEvent, unsigned int Flags',
  cuEventRecord: 'CUevent hEvent, CUstream hStream',
  cuEventQuery: 'CUevent hEvent',
  cuEventElapsedTime: 'float *pMilliseconds, CUevent hStart, CUevent hEnd',
  cuEventDestroy_v2: 'CUevent hEvent',
  cuIpcGetMemHandle: 'CUipcMemHandle *pHandle, CUdeviceptr dptr',
  cuIpcOpenMemHandle_v2: 'CUdeviceptr *pdptr, CUipcMemHandle handle, unsigned int Flags',
  cuIpcCloseMemHandle: 'CUdeviceptr dptr',
  cuModuleLoadData: 'CUmodule *module, const void *image',
  cuModuleUnload: 'CUmodule hmod',
  cuModuleGetFunction: 'CUfunction *hfunc, CUmodule hmod, const char *name',
  cuLaunchKernel:
    'CUfunction f, unsigned int gridDimX, unsigned int gridDimY, unsigned int gridDimZ, ' +
    'unsigned int blockDimX, unsigned int blockDimY, unsigned int blockDimZ, ' +
    'unsigned int sharedMemBytes, CUstream hStream, void **kernelParams, void **extra',
} as const;

export type DriverCall = keyof typeof DRIVER_CALLS;

let named = false;

/** Tells koffi the driver's types; once a process, because their names are its own. */
export function nameDriverTypes(): void {
  if (named) return;
  named = true;
  for (const name of ['CUresult', 'CUdevice', 'CUdevice_attribute']) koffi.alias(name, 'int');
  for (const name of ['CUdeviceptr', 'CUcontext', 'CUstream', 'CUevent', 'CUmodule', 'CUfunction'])
    koffi.alias(name, 'uint64');
  koffi.struct('CUuuid', { bytes: koffi.array('uint8', UUID_BYTES, 'Typed') });
  koffi.struct('CUipcMemHandle', { reserved: koffi.array('uint8', IPC_HANDLE_BYTES, 'Typed') });
}
