/**
 * The GPUs of this machine among the metrics of a worker, where NVML is there; where it is not, no line. Each help text names
 * DCGM's field of the same figure. Asked when somebody scrapes, at most once a second.
 */

import type { Clock } from '../../durable/runtime/clock.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Family, Gauge, Metrics } from '../../durable/runtime/metrics.ts';
import { type GpuFigures, openNvml } from './nvml.ts';

const LABELS = ['gpu', 'uuid', 'name'];

type Figure = keyof { [K in keyof GpuFigures as GpuFigures[K] extends number | null ? K : never]: true };

/** Metric, what it says, and the figure. */
const GAUGES = [
  ['gpu_utilization', 'Share of time with a kernel running, 0 to 1 (DCGM_FI_DEV_GPU_UTIL).', 'utilization'],
  [
    'gpu_memory_utilization',
    'Share of time with device memory read or written, 0 to 1 (DCGM_FI_DEV_MEM_COPY_UTIL).',
    'memoryUtilization',
  ],
  ['gpu_memory_used_bytes', 'Device memory in use (DCGM_FI_DEV_FB_USED).', 'memoryUsedBytes'],
  ['gpu_memory_total_bytes', 'Device memory there is (DCGM_FI_DEV_FB_TOTAL).', 'memoryTotalBytes'],
  ['gpu_temperature_celsius', 'Temperature of the GPU (DCGM_FI_DEV_GPU_TEMP).', 'temperatureCelsius'],
  ['gpu_power_watts', 'Power drawn (DCGM_FI_DEV_POWER_USAGE).', 'powerWatts'],
  [
    'gpu_energy_joules',
    'Energy drawn since the driver started (DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION).',
    'energyJoules',
  ],
] as const satisfies readonly (readonly [string, string, Figure])[];

/** Adds the families, and says whether there is anything to show. Never throws. */
export function gpuMetrics(metrics: Metrics, options: { library: string; clock: Clock }): boolean {
  const nvml = openNvml(options);
  if ('problem' in nvml) return false;
  const gauges: [Family<Gauge>, Figure][] = GAUGES.map(([name, help, figure]) => [
    metrics.gauge(name, help, LABELS),
    figure,
  ]);
  const processes = metrics.gauge('gpu_process_memory_bytes', 'Device memory of a process.', [
    ...LABELS,
    'pid',
  ]);
  let askedMs = Number.NEGATIVE_INFINITY;
  metrics.onCollect(() => {
    const nowMs = options.clock.nowMs();
    if (nowMs - askedMs < LIMITS.gpuFiguresMs) return;
    askedMs = nowMs;
    for (const [family] of gauges) family.clear();
    processes.clear();
    for (const gpu of figuresNow(nvml)) {
      const labels = [String(gpu.index), gpu.uuid, gpu.name];
      for (const [family, figure] of gauges) {
        const value = gpu[figure];
        if (value !== null) family.labels(...labels).set(value);
      }
      for (const { pid, memoryBytes } of gpu.processes) {
        processes.labels(...labels, String(pid)).set(memoryBytes);
      }
    }
  });
  return true;
}

function figuresNow(nvml: { figures(): GpuFigures[] }): GpuFigures[] {
  try {
    return nvml.figures();
  } catch {
    // A GPU that fell off the bus, a driver being replaced: a scrape without these lines says so.
    return [];
  }
}
