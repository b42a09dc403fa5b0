/**
 * Which instance of an endpoint takes a call: in turn, at random, or the one that the caller names. Pure.
 *
 * One that could not be reached is passed over until discovery says anything new about this endpoint (semantics §4.1); when
 * all are, all are tried again, because what nobody can reach now may be there the next moment.
 */

import { StatorError } from './errors.ts';
import { type EndpointName, endpointAddress, type Instance } from './instance.ts';

export const CALL_MODES = ['round_robin', 'random', 'direct'] as const;
export type CallMode = (typeof CALL_MODES)[number];

export interface Wish {
  mode: CallMode;
  /** Of mode direct: hex. */
  instanceId: string | null;
  /** Instances that this call has asked already. */
  tried: ReadonlySet<string>;
  /** 0 ≤ random < 1 */
  random: number;
}

export class InstanceChoice {
  readonly #name: EndpointName;
  readonly #down = new Set<string>();
  #instances: readonly Instance[] = [];
  #turn = 0;

  constructor(name: EndpointName) {
    this.#name = name;
  }

  get instances(): readonly Instance[] {
    return this.#instances;
  }

  /** What discovery says now; a difference to before forgets who was down. */
  replace(instances: readonly Instance[]): void {
    if (JSON.stringify(instances) === JSON.stringify(this.#instances)) return;
    this.#instances = instances;
    this.#down.clear();
  }

  reportDown(instanceId: string): void {
    this.#down.add(instanceId);
  }

  /** Throws `no_workers`, or `not_found` when the one that is wanted is not there. */
  choose({ mode, instanceId, tried, random }: Wish): Instance {
    const address = endpointAddress(this.#name);
    if (mode === 'direct') {
      const wanted = this.#instances.find((each) => sameId(each.instanceId, instanceId ?? ''));
      if (wanted) return wanted;
      throw new StatorError('not_found', `${address} has no instance ${instanceId}.`, {
        param: 'x-stator-instance',
      });
    }
    const left = this.#instances.filter((each) => !tried.has(each.instanceId));
    const up = left.filter((each) => !this.#down.has(each.instanceId));
    const among = up.length > 0 ? up : left;
    if (among.length === 0) {
      const why =
        this.#instances.length === 0 ? 'has no instance' : 'has no instance left that can be reached';
      throw new StatorError('no_workers', `${address} ${why}.`, { retryAfterS: 1 });
    }
    const at = mode === 'random' ? Math.floor(random * among.length) : this.#turn++ % among.length;
    return among[at]!;
  }
}

/** Leading zeros aside. */
const sameId = (a: string, b: string) => a.replace(/^0+/, '') === b.toLowerCase().replace(/^0+/, '');
