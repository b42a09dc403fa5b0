/** A call that is given a limited time: what it gave, or why it gave nothing. What comes later is dropped. */

import type { Host } from '../platform/host.ts';
import { toStatorError } from '../runtime/errors.ts';
import type { Called } from './execute.ts';

export function within<T>(host: Host, limitMs: number, call: () => Promise<T>): Promise<Called<T>> {
  return new Promise((resolve) => {
    const failed = (thrown: unknown) => resolve({ ok: false, why: toStatorError(thrown).message });
    host.after(limitMs, () => resolve({ ok: false, why: `no answer within ${limitMs} ms` }));
    try {
      call().then((value) => resolve({ ok: true, value }), failed);
    } catch (thrown) {
      failed(thrown);
    }
  });
}
