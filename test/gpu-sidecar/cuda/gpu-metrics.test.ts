/** What of the GPUs stands among a worker's metrics, from the stub's figures; and nothing where there is no NVML. */

import { afterEach, describe, expect, it } from 'vitest';
import { Metrics } from '../../../durable/runtime/metrics.ts';
import { gpuMetrics } from '../../../gpu-sidecar/cuda/gpu-metrics.ts';
import { openNvml } from '../../../gpu-sidecar/cuda/nvml.ts';
import { stubLibrary } from './stub-library.ts';

const stub = stubLibrary();
const path = 'path' in stub ? stub.path : '';
const words = 'problem' in stub ? `NOT RUN: ${stub.problem}` : "the stub's";

afterEach(() => {
  delete process.env['STUB_NVML_UNSUPPORTED'];
  delete process.env['STUB_NVML_INIT'];
});

const NAMES = 'gpu="0",uuid="GPU-00102030-4050-6070-8090-a0b0c0d0e0f0",name="Stub GPU 0"';

describe('without NVML', () => {
  it('there are no metrics of GPUs, and a message says why', () => {
    const metrics = new Metrics({ prefix: 'x' });
    expect(gpuMetrics(metrics, { library: '/nowhere/libnvidia-ml.so.1', clock: { nowMs: () => 0 } })).toBe(
      false,
    );
    expect(metrics.text()).toBe('');
    expect(openNvml({ library: '/nowhere/libnvidia-ml.so.1' })).toEqual({
      problem: expect.stringMatching(/no NVML here.*--nvml-library/),
    });
  });
});

describe.skipIf('problem' in stub)(`figures of a GPU, ${words}`, () => {
  it('are shown with what they are in DCGM', () => {
    const metrics = new Metrics({ prefix: 'x' });
    expect(gpuMetrics(metrics, { library: path, clock: { nowMs: () => 0 } })).toBe(true);
    const lines = metrics.text().split('\n');
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      `x_gpu_utilization{${NAMES}} 0.37`,
      `x_gpu_memory_utilization{${NAMES}} 0.12`,
      `x_gpu_memory_used_bytes{${NAMES}} 41000000000`,
      `x_gpu_memory_total_bytes{${NAMES}} 150000000000`,
      `x_gpu_temperature_celsius{${NAMES}} 54`,
      `x_gpu_power_watts{${NAMES}} 321.5`,
      `x_gpu_energy_joules{${NAMES}} 7200.5`,
      `x_gpu_process_memory_bytes{${NAMES},pid="4711"} 30000000000`,
      `x_gpu_process_memory_bytes{${NAMES},pid="4712"} 11000000000`,
    ]);
    expect(lines[0]).toContain('DCGM_FI_DEV_GPU_UTIL');
  });

  it('that a device does not give are left out, and asked again after a second', () => {
    const metrics = new Metrics({ prefix: 'x' });
    let nowMs = 0;
    gpuMetrics(metrics, { library: path, clock: { nowMs: () => nowMs } });
    const has = (name: string) => metrics.text().includes(`x_gpu_${name}{`);
    expect(has('power_watts')).toBe(true);
    process.env['STUB_NVML_UNSUPPORTED'] = 'nvmlDeviceGetPowerUsage,nvmlDeviceGetUtilizationRates';
    expect(has('power_watts')).toBe(true);
    nowMs = 1_000;
    expect(has('power_watts')).toBe(false);
    expect(has('utilization')).toBe(false);
    expect(has('temperature_celsius')).toBe(true);
  });

  it('are not there while the driver is not, and the message says so', () => {
    process.env['STUB_NVML_INIT'] = '9';
    expect(openNvml({ library: path })).toEqual({
      problem: expect.stringMatching(
        /nvmlInit_v2 failed: Driver Not Loaded \(9\); look whether nvidia-smi works/,
      ),
    });
  });
});

const real = openNvml({ library: '' });

describe.skipIf('problem' in real)(
  `this machine's GPUs${'problem' in real ? ' (NOT RUN: no NVML)' : ''}`,
  () => {
    it('have memory and a temperature', () => {
      if ('problem' in real) throw new Error(real.problem);
      for (const gpu of real.figures()) {
        expect(gpu.uuid).toMatch(/^GPU-/);
        expect(gpu.memoryTotalBytes).toBeGreaterThanOrEqual(gpu.memoryUsedBytes ?? 0);
        expect(gpu.temperatureCelsius ?? 20).toBeLessThan(150);
      }
    });
  },
);
