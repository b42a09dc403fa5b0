/** A request's record as a worker keeps it, just accepted. */

import type { RequestProgress } from '../../gpu-sidecar/fleet/progress.ts';

export const requestProgress = (change: Partial<RequestProgress> = {}): RequestProgress => ({
  reservation: 1,
  routerBoot: 7,
  phase: 'accepted',
  outputTokens: 0,
  cachedTokens: 0,
  ttftMs: 0,
  totalMs: 0,
  finishReason: '',
  waiting: false,
  ...change,
});
