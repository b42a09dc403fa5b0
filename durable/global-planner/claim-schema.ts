/** What an ask must be, whoever sends it: planners of a newer or broken build among them. */
import * as z from 'zod';
import { PLANNED_ROLES } from '../planner/fleet.ts';
import { LIMITS } from '../runtime/limits.ts';
import type { Claim } from './rpc.ts';

const workers = z.number().int().min(0).max(LIMITS.workers);
const longestMs = 7 * 24 * 3_600_000;

export const claimSchema: z.ZodType<Claim> = z.object({
  namespace: z.string().min(1).max(63),
  roles: z
    .array(
      z
        .object({
          role: z.enum(PLANNED_ROLES),
          min: workers,
          wanted: workers,
          gpusPerWorker: z.number().int().min(1).max(LIMITS.workers),
        })
        .refine(({ min, wanted }) => wanted >= min, 'wants fewer workers than its least fleet has'),
    )
    .min(1)
    .max(PLANNED_ROLES.length)
    .refine((roles) => new Set(roles.map(({ role }) => role)).size === roles.length, 'a role is there twice'),
  running: z.partialRecord(z.enum(PLANNED_ROLES), workers),
  leaseMs: z.number().min(1).max(longestMs),
  intervalMs: z.number().min(0).max(longestMs),
});
