/** A replay's report for people: a small table and a line per worker group. */

import type { PlannedReport } from './planner/planned-replay.ts';
import type { Report } from './report.ts';
import type { Distribution } from './statistics.ts';

export function reportText(report: Report): string {
  const row = (name: string, { mean, p50, p90, p99 }: Distribution) =>
    name.padEnd(12) + [mean, p50, p90, p99].map((value) => value.toFixed(1).padStart(11)).join('');
  const busy = report.workers.map((worker) => worker.busy);
  const taken = report.workers.map((worker) => worker.requests);
  const range = (values: number[], digits: number) =>
    `${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)}`;
  return [
    `${''.padEnd(12)}${['mean', 'p50', 'p90', 'p99'].map((word) => word.padStart(11)).join('')}`,
    row('TTFT ms', report.ttft_ms),
    row('ITL ms', report.itl_ms),
    row('E2E ms', report.e2e_ms),
    '',
    `${report.requests} requests in ${(report.duration_ms / 1000).toFixed(1)} s of virtual time` +
      (report.rejected > 0 ? `, ${report.rejected} rejected: too long for any worker` : ''),
    `reuse ${report.reuse.toFixed(4)}, ${report.output_tokens_per_s.toFixed(1)} output tokens/s`,
    `${report.workers.length} workers: ${range(taken, 0)} requests each, busy ${range(busy, 3)}`,
    ...('planner' in report ? plannerLines(report as PlannedReport) : []),
    '',
  ].join('\n');
}

function plannerLines({ planner }: PlannedReport): string[] {
  const row = (name: string, { attainment, worker_hours }: { attainment: number; worker_hours: number }) =>
    `  ${name.padEnd(29)}${(100 * attainment).toFixed(2).padStart(8)} %${worker_hours.toFixed(2).padStart(10)} worker hours`;
  return [
    '',
    `requests with TTFT ≤ ${planner.ttft_ms} ms and mean ITL ≤ ${planner.itl_ms} ms, start-up ${planner.startup_s} s:`,
    row(`planner (${planner.mode})`, planner),
    row(`${workersText(planner.static.workers)}, fixed`, planner.static),
    row('oracle', planner.oracle),
    `${planner.decisions.length} decisions changed the fleet`,
  ];
}

const workersText = (workers: PlannedReport['planner']['static']['workers']): string =>
  typeof workers === 'number'
    ? `${workers} workers`
    : `${workers.prefill} prefill + ${workers.decode} decode`;
