/** `stator gpus`: which NVIDIA GPUs this machine has, what they are doing, and what is missing where there are none. */

import { defineCommand } from 'citty';
import { flagName } from '../../durable/runtime/config.ts';
import { cudaDevices, deviceLine } from '../../gpu-sidecar/cuda/device.ts';
import { openCuda } from '../../gpu-sidecar/cuda/driver.ts';
import { openNvml } from '../../gpu-sidecar/cuda/nvml.ts';
import { openNvrtc } from '../../gpu-sidecar/cuda/nvrtc.ts';
import { readSettings, refuseUnknown } from '../settings.ts';

const LIBRARIES = ['cudaLibrary', 'nvmlLibrary', 'nvrtcLibrary'] as const;

/** Status of a machine on which everything is done by the CPU. */
const NO_GPU = 3;

export const gpus = defineCommand({
  meta: { name: 'gpus', description: 'Show the NVIDIA GPUs of this machine, or what is missing.' },
  args: {
    config: { type: 'string', description: 'Settings file (default: stator.toml where it exists).' },
    json: { type: 'boolean', description: 'JSON instead of text.', default: false },
    'cuda-library': { type: 'string', description: 'Path of libcuda.so.1.' },
    'nvml-library': { type: 'string', description: 'Path of libnvidia-ml.so.1.' },
    'nvrtc-library': { type: 'string', description: 'Path of libnvrtc.' },
  },
  run({ args }): number {
    refuseUnknown(args, new Set(['config', 'json', ...LIBRARIES.map(flagName)]));
    const { settings } = readSettings(args);
    const seen = look(settings);
    process.stdout.write(args.json ? `${JSON.stringify(seen, null, 2)}\n` : describe(seen));
    return seen.lacks === null ? 0 : NO_GPU;
  },
});

function look(libraries: Readonly<Record<(typeof LIBRARIES)[number], string>>) {
  const cuda = openCuda({ library: libraries.cudaLibrary });
  const nvml = openNvml({ library: libraries.nvmlLibrary });
  const nvrtc = openNvrtc({ library: libraries.nvrtcLibrary });
  const devices = cuda.ok ? cudaDevices(cuda.driver) : [];
  return {
    lacks: cuda.ok ? null : cuda.lacks,
    reason: cuda.ok ? null : cuda.reason,
    devices,
    lines: cuda.ok ? devices.map((device) => deviceLine(cuda.driver, device)) : [],
    figures: 'problem' in nvml ? [] : nvml.figures(),
    nvml: 'problem' in nvml ? nvml.problem : null,
    nvrtc: 'problem' in nvrtc ? nvrtc.problem : `NVRTC ${nvrtc.version} (${nvrtc.path})`,
  };
}

function describe(seen: ReturnType<typeof look>): string {
  const head = seen.reason === null ? seen.lines : [`no GPU (${seen.lacks}): ${seen.reason}`];
  const figures = seen.figures.map(
    ({ index, utilization, memoryUsedBytes, temperatureCelsius, powerWatts, processes }) =>
      `   NVML ${index}: ${share(utilization)} busy, ${gigabytes(memoryUsedBytes)} in use, ` +
      `${temperatureCelsius ?? '?'} °C, ${powerWatts ?? '?'} W, ${processes.length} processes`,
  );
  const missing = seen.nvml === null ? [] : [`metrics: ${seen.nvml}`];
  return `${[...head, ...figures, ...missing, `kernels: ${seen.nvrtc}`].join('\n')}\n`;
}

const share = (value: number | null): string => (value === null ? '?' : `${Math.round(value * 100)} %`);
const gigabytes = (bytes: number | null): string => (bytes === null ? '?' : `${(bytes / 1e9).toFixed(1)} GB`);
