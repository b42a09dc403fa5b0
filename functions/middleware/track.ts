/**
 * The metrics of an inference request, from its arrival to its end. `abort` of the request's signal is the one thing
 * that runs when a client leaves (compatibility flag `enable_request_signal`), so it ends the count.
 */
import type { Settings } from '../../durable/runtime/config.ts';
import type { Endpoint } from '../call.ts';
import { frontendMetrics, RequestTrack } from '../metrics.ts';

export function startTrack(
  request: Request,
  endpoint: Endpoint,
  settings: Settings,
  startedMs: number,
): RequestTrack {
  const clock = { startedMs, nowMs: Date.now };
  const track = new RequestTrack(frontendMetrics(settings.metricsPrefix), endpoint, clock);
  request.signal.addEventListener('abort', () => track.ended('cancelled'));
  return track;
}
