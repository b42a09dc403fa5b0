/**
 * Calls an endpoint at one instance after another, until one answers. Another is tried only where the call cannot have begun: no
 * connection, a refusal, or an endpoint that says it is idempotent. One that cannot be reached counts as down until discovery
 * says anything new (semantics §4.1). What functions and Node clients do alike; how a call is made is theirs.
 */

import { type ErrorCode, StatorError } from './errors.ts';
import type { Instance } from './instance.ts';
import type { InstanceChoice, Wish } from './instance-choice.ts';
import { LIMITS } from './limits.ts';

/** No answer came. */
export class Unreached extends StatorError {
  readonly mayHaveBegun: boolean;

  constructor(message: string, { cause, mayHaveBegun }: { cause: unknown; mayHaveBegun: boolean }) {
    super('worker_unavailable', message, { cause });
    this.mayHaveBegun = mayHaveBegun;
  }
}

/** A worker that says so has not begun. */
const NEVER_BEGUN: readonly ErrorCode[] = ['worker_draining', 'overloaded'];

export interface InstanceCall<Answer> {
  wish: Pick<Wish, 'mode' | 'instanceId'>;
  random: () => number;
  /** `again`: somebody did not answer, so what is known may be old. */
  choice(again: boolean): Promise<InstanceChoice>;
  call(instance: Instance): Promise<Answer>;
}

/** Throws what the last instance said; where none is left to ask, that of the one before. */
export async function callInstances<Answer>({
  wish,
  random,
  choice,
  call,
}: InstanceCall<Answer>): Promise<Answer> {
  const tried = new Set<string>();
  let failure: StatorError | null = null;
  for (;;) {
    const among = await choice(tried.size > 0);
    const instance = chosen(() => among.choose({ ...wish, tried, random: random() }), failure);
    tried.add(instance.instanceId);
    try {
      return await call(instance);
    } catch (thrown) {
      if (!(thrown instanceof StatorError)) throw thrown;
      failure = thrown;
      if (thrown instanceof Unreached) among.reportDown(instance.instanceId);
      const again = thrown instanceof Unreached ? !thrown.mayHaveBegun : NEVER_BEGUN.includes(thrown.code);
      if (!again || wish.mode === 'direct' || tried.size >= LIMITS.componentAttempts) throw thrown;
    }
  }
}

function chosen(choose: () => Instance, failure: StatorError | null): Instance {
  try {
    return choose();
  } catch (thrown) {
    throw failure ?? thrown;
  }
}
