// NVML without a GPU: one device whose figures are known. STUB_NVML_UNSUPPORTED="nvmlDeviceGetPowerUsage,…" names calls that this
// device does not answer, as real ones do (MIG has no utilisation, vGPU no power); STUB_NVML_INIT is the status of the start.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_NVML_H
#include <nvml.h>
#else
typedef int nvmlReturn_t;
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef int nvmlTemperatureSensors_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int pid; unsigned long long usedGpuMemory; unsigned int gpuInstanceId, computeInstanceId; } nvmlProcessInfo_t;
#endif

enum { OK = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };
static char device_;

static int unsupported(const char *call) {
  const char *names = getenv("STUB_NVML_UNSUPPORTED");
  return names != NULL && strstr(names, call) != NULL;
}
#define SUPPORTED() if (unsupported(__func__)) return NOT_SUPPORTED

const char *nvmlErrorString(nvmlReturn_t result) { return (int)result == 9 ? "Driver Not Loaded" : "Unknown Error"; }

nvmlReturn_t nvmlInit_v2(void) { const char *status = getenv("STUB_NVML_INIT"); return status ? atoi(status) : OK; }
nvmlReturn_t nvmlShutdown(void) { return OK; }
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount) { *deviceCount = 1; return OK; }

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
  if (index != 0) return INVALID_ARGUMENT;
  *device = (nvmlDevice_t)&device_;
  return OK;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
  if (device != (nvmlDevice_t)&device_) return INVALID_ARGUMENT;
  snprintf(name, length, "Stub GPU 0");
  return OK;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
  (void)device;
  snprintf(uuid, length, "GPU-00102030-4050-6070-8090-a0b0c0d0e0f0");
  return OK;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization) {
  (void)device;
  SUPPORTED();
  utilization->gpu = 37;
  utilization->memory = 12;
  return OK;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
  (void)device;
  SUPPORTED();
  memory->total = 150000000000ull;
  memory->used = 41000000000ull;
  memory->free = memory->total - memory->used;
  return OK;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp) {
  (void)device;
  SUPPORTED();
  if (sensorType != 0) return INVALID_ARGUMENT;
  *temp = 54;
  return OK;
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *power) {
  (void)device;
  SUPPORTED();
  *power = 321500;
  return OK;
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy) {
  (void)device;
  SUPPORTED();
  *energy = 7200500;
  return OK;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned int *infoCount, nvmlProcessInfo_t *infos) {
  static const struct { unsigned int pid; unsigned long long bytes; } processes[] = {{4711, 30000000000ull}, {4712, 11000000000ull}};
  (void)device;
  SUPPORTED();
  if (*infoCount < 2) { *infoCount = 2; return INSUFFICIENT_SIZE; }
  *infoCount = 2;
  for (int i = 0; i < 2; i++) {
    memset(&infos[i], 0, sizeof infos[i]);
    infos[i].pid = processes[i].pid;
    infos[i].usedGpuMemory = processes[i].bytes;
  }
  return OK;
}
