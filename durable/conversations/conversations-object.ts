/**
 * A Conversations object: stored responses, on disk. A shell around `conversations.ts`; `rpc.ts` has its interface.
 *
 * There are `LIMITS.conversationObjects` of them, and a response's id names its own (`response-id.ts` of the functions):
 * by chance for one that begins a conversation, that of the response before for one that continues, so that a
 * conversation is read in one call of one object. An alarm deletes what is over.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { LIMITS } from '../runtime/limits.ts';
import { Conversations as Core } from './conversations.ts';
import type { Cancelled, ConversationsRpc, History, NewResponse, ResponseState, Watched } from './rpc.ts';
import { SqlDisk } from './sql-disk.ts';

export class Conversations extends DurableObject implements ConversationsRpc {
  readonly #host: Host;
  readonly #core: Core;
  /** Who watches which response. */
  readonly #watchers = new Map<string, Set<() => void>>();
  #alarmSet: boolean;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    this.#core = new Core(new SqlDisk(ctx.storage.sql));
    // One that was set before the restart is on disk.
    this.#alarmSet = this.#core.responses > 0;
  }

  begin(response: NewResponse): boolean {
    const kept = this.#core.begin(response, this.#host.nowMs());
    if (kept && !this.#alarmSet) {
      this.#alarmSet = true;
      void this.ctx.storage.setAlarm(this.#host.nowMs() + LIMITS.responseTtlMs);
    }
    return kept;
  }

  finish(id: string, state: ResponseState, document: string): boolean {
    const kept = this.#core.finish(id, state, document);
    this.#wake(id);
    return kept;
  }

  fail(id: string, message: string): void {
    this.#core.fail(id, message);
  }

  remove(id: string): boolean {
    const removed = this.#core.remove(id);
    this.#wake(id);
    return removed;
  }

  read(id: string): string | null {
    return this.#core.read(id, this.#host.nowMs());
  }

  input(id: string): string | null {
    return this.#core.input(id, this.#host.nowMs());
  }

  history(id: string): History {
    return this.#core.history(id, this.#host.nowMs());
  }

  cancel(id: string): Cancelled {
    const answer = this.#core.cancel(id, this.#host.nowMs());
    this.#wake(id);
    return answer;
  }

  watch(id: string): Promise<Watched> {
    const now = this.#core.watched(id, this.#host.nowMs());
    if (now !== 'going') return Promise.resolve(now);
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(id) ?? new Set();
      const look = () => {
        if (!watchers.delete(look)) return;
        if (watchers.size === 0) this.#watchers.delete(id);
        resolve(this.#core.watched(id, this.#host.nowMs()));
      };
      this.#watchers.set(id, watchers.add(look));
      this.#host.after(LIMITS.responseWatchMs, look);
    });
  }

  override async alarm(): Promise<void> {
    const nextMs = this.#core.sweep(this.#host.nowMs());
    this.#alarmSet = nextMs !== null;
    // Not in a loop when there is much to delete: other calls come first.
    if (nextMs !== null) {
      await this.ctx.storage.setAlarm(Math.max(nextMs, this.#host.nowMs() + LIMITS.responseSweepMs));
    }
  }

  #wake(id: string): void {
    for (const look of [...(this.#watchers.get(id) ?? [])]) look();
  }
}
