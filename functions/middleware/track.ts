/**
 * The metrics of an inference request, from its arrival to its end.
 */
import type { Settings } from '../../durable/runtime/config.ts';
import type { TrackedEndpoint } from '../call.ts';
import { frontendMetrics, RequestTrack } from '../metrics.ts';

export function startTrack(
  request: Request,
  endpoint: TrackedEndpoint,
  settings: Settings,
  startedMs: number,
): RequestTrack {
  return new RequestTrack(frontendMetrics(settings.metricsPrefix), endpoint, {
    startedMs,
    nowMs: Date.now,
    signal: () => request.signal,
  });
}
