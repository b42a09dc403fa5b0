/** The engines by name. A new engine is a folder, a line here and a line in the contract suite. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { EngineKind } from './engine.ts';
import { llamaKind } from './llama/kind.ts';
import { mockKind } from './mock/kind.ts';

const KINDS: readonly EngineKind[] = [llamaKind, mockKind];

/** Throws StatorError `invalid_request` naming the engines that exist. */
export function engineKind(name: string): EngineKind {
  const kind = KINDS.find((one) => one.name === name);
  if (kind) return kind;
  throw new StatorError(
    'invalid_request',
    `unknown engine ${name}; there are ${KINDS.map((one) => one.name).join(', ')}`,
    {
      param: 'engine',
    },
  );
}
