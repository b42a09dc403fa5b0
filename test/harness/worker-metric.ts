/** The sum of what all sidecars of a deployment say under matching metric names, by their own `/metrics`. */
import type { Deployment } from '../../cli/launch/deployment.ts';

/** Sidecars that are gone say nothing. */
export async function workerMetric(deployment: Deployment, pattern: RegExp): Promise<number> {
  let sum = 0;
  for (const line of deployment.sidecarLines) {
    if (!line?.http) continue;
    const headers = { authorization: `Bearer ${deployment.settings.fleetToken}` };
    const response = await fetch(`${line.http}/metrics`, { headers }).catch(() => null);
    for (const row of ((await response?.text()) ?? '').split('\n')) {
      if (!row.startsWith('#') && pattern.test(row)) sum += Number(row.slice(row.lastIndexOf(' ') + 1));
    }
  }
  return sum;
}
