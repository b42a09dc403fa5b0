/** What is called of NVML (`libnvidia-ml.so.1`): types and functions, once, as nvml.h of CUDA 12 has them. */

import koffi from 'koffi';

export const NVML_CONSTANTS = {
  NVML_SUCCESS: 0,
  NVML_ERROR_INSUFFICIENT_SIZE: 7,
  NVML_TEMPERATURE_GPU: 0,
} as const;

export const NVML_CALLS = {
  nvmlInit_v2: 'void',
  nvmlDeviceGetCount_v2: 'unsigned int *deviceCount',
  nvmlDeviceGetHandleByIndex_v2: 'unsigned int index, nvmlDevice_t *device',
  nvmlDeviceGetName: 'nvmlDevice_t device, char *name, unsigned int length',
  nvmlDeviceGetUUID: 'nvmlDevice_t device, char *uuid, unsigned int length',
  nvmlDeviceGetUtilizationRates: 'nvmlDevice_t device, nvmlUtilization_t *utilization',
  nvmlDeviceGetMemoryInfo: 'nvmlDevice_t device, nvmlMemory_t *memory',
  nvmlDeviceGetTemperature: 'nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp',
  nvmlDeviceGetPowerUsage: 'nvmlDevice_t device, unsigned int *power',
  nvmlDeviceGetTotalEnergyConsumption: 'nvmlDevice_t device, unsigned long long *energy',
  nvmlDeviceGetComputeRunningProcesses_v3:
    'nvmlDevice_t device, unsigned int *infoCount, nvmlProcessInfo_t *infos',
} as const;

export type NvmlCall = keyof typeof NVML_CALLS;

/** Structs are read from bytes: where each field begins. */
export const NVML_STRUCTS = {
  nvmlUtilization_t: { bytes: 8, gpu: 0, memory: 4 },
  nvmlMemory_t: { bytes: 24, total: 0, free: 8, used: 16 },
  nvmlProcessInfo_t: { bytes: 24, pid: 0, usedGpuMemory: 8 },
} as const;

let named = false;

/** Tells koffi the types; once a process. */
export function nameNvmlTypes(): void {
  if (named) return;
  named = true;
  for (const name of ['nvmlReturn_t', 'nvmlTemperatureSensors_t']) koffi.alias(name, 'int');
  koffi.alias('nvmlDevice_t', 'uint64');
  for (const name of Object.keys(NVML_STRUCTS)) koffi.opaque(name);
}
