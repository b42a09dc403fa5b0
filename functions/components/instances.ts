/**
 * The isolate's copies of who serves which endpoint, at most `LIMITS.directoryTtlMs` old, each with its memory of who could
 * not be reached. Values only, no promises: those belong to one request.
 */

import { type EndpointName, endpointPrefix, readInstance } from '../../durable/runtime/instance.ts';
import { InstanceChoice } from '../../durable/runtime/instance-choice.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { directoryOf, type Env } from '../env.ts';

interface Copy {
  choice: InstanceChoice;
  version: number;
  readMs: number;
}

const copies = new Map<string, Copy>();

/** `fresh`: read again, because the copy was found to be wrong. */
export async function instancesOf(
  env: Env,
  name: EndpointName,
  { nowMs, fresh }: { nowMs: number; fresh: boolean },
): Promise<InstanceChoice> {
  const prefix = endpointPrefix(name);
  let copy = copies.get(prefix);
  if (copy === undefined) {
    if (copies.size >= LIMITS.endpointCopies) copies.clear();
    copy = { choice: new InstanceChoice(name), version: -1, readMs: Number.NEGATIVE_INFINITY };
    copies.set(prefix, copy);
  }
  // Nobody there is what may change soonest.
  const isUsable = nowMs - copy.readMs < LIMITS.directoryTtlMs && copy.choice.instances.length > 0;
  if (!fresh && isUsable) return copy.choice;
  const list = await directoryOf(env).list(prefix, copy.version);
  copy.readMs = nowMs;
  if (list !== null) {
    copy.version = list.version;
    copy.choice.replace(list.entries.flatMap(({ key, value }) => readInstance(key, value) ?? []));
  }
  return copy.choice;
}
