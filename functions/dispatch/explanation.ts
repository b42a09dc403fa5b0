/**
 * Why a worker was chosen, as clients see it: the decision and how each candidate was judged, the cheapest first, in
 * Dynamo's words (semantics §1.2). A header holds the first `LIMITS.explainedInHeader` candidates.
 */
import * as z from 'zod';
import type { CandidateCost, RouteDecision } from '../../durable/router/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { named } from '../openapi/operation.ts';

const count = z.number().int().min(0);

export const explanationSchema = named(
  'Explanation',
  z.object({
    worker: z.string(),
    dp_rank: count,
    overlap_blocks: z.number().min(0),
    cached_tokens: count,
    /** Who would compute the prompt, where it is another worker. */
    prefill: z
      .object({ worker: z.string(), dp_rank: count, overlap_blocks: z.number().min(0), cached_tokens: count })
      .optional(),
    candidates: z.array(
      z.object({
        worker: z.string(),
        dp_rank: count,
        cost: z.number(),
        device_blocks: z.number().min(0),
        host_blocks: z.number().min(0),
        disk_blocks: z.number().min(0),
        shared_blocks: z.number().min(0),
        active_prefill_tokens: z.number().min(0),
        potential_decode_blocks: z.number().min(0),
        active_requests: count,
        preferred_taint_multiplier: z.number(),
      }),
    ),
  }),
);

export type Explanation = z.output<typeof explanationSchema>;
type Candidate = Explanation['candidates'][number];

export function explanation(decision: RouteDecision): Explanation {
  const { prefill } = decision;
  return {
    worker: decision.worker,
    dp_rank: decision.dpRank,
    overlap_blocks: decision.overlapBlocks,
    cached_tokens: decision.cachedTokens,
    ...(prefill && {
      prefill: {
        worker: prefill.worker,
        dp_rank: prefill.dpRank,
        overlap_blocks: prefill.overlapBlocks,
        cached_tokens: prefill.cachedTokens,
      },
    }),
    candidates: (decision.candidates ?? []).map(candidate),
  };
}

/** ASCII: ids are hex and the rest numbers. */
export function explanationHeader(decision: RouteDecision): string {
  const candidates = decision.candidates?.slice(0, LIMITS.explainedInHeader) ?? [];
  return JSON.stringify(explanation({ ...decision, candidates }));
}

const candidate = (cost: CandidateCost): Candidate => ({
  worker: cost.worker,
  dp_rank: cost.dpRank,
  cost: cost.cost,
  device_blocks: cost.deviceBlocks,
  host_blocks: cost.hostBlocks,
  disk_blocks: cost.diskBlocks,
  shared_blocks: cost.sharedBlocks,
  active_prefill_tokens: cost.prefillTokens,
  potential_decode_blocks: cost.decodeBlocks,
  active_requests: cost.activeRequests,
  preferred_taint_multiplier: cost.preference,
});
