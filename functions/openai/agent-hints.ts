/** What a client tells the router of its request: Dynamo's extension `nvext.agent_hints` (semantics §1.7). */
import * as z from 'zod';
import type { AgentHints } from '../inference-request.ts';

/** Part of every body; fields that are not known are left alone, as everywhere. */
export const nvext = z
  .looseObject({
    agent_hints: z
      .looseObject({
        priority: z.number().int().min(-0x8000_0000).max(0x7fff_ffff).nullish(),
        strict_priority: z.number().int().min(0).max(0xffff_ffff).nullish(),
      })
      .nullish(),
  })
  .nullish();

export function agentHintsOf(body: { nvext?: z.output<typeof nvext> }): AgentHints | null {
  const hints = body.nvext?.agent_hints;
  if (hints == null) return null;
  return { priority: hints.priority ?? 0, strictPriority: hints.strict_priority ?? 0 };
}
