/** `POST /stator/v1/clear_kv_blocks`: every worker drops the cached blocks that no running request holds. */
import * as z from 'zod';
import { type Env, routerOf } from '../env.ts';
import { namespacesNow } from './namespaces.ts';

export const clearedSchema = z.object({ status: z.literal('cleared'), workers: z.number().int().min(0) });

export async function clearKvBlocks(env: Env, nowMs: number): Promise<Response> {
  const namespaces = await namespacesNow(env, nowMs);
  const told = await Promise.all(namespaces.map((namespace) => routerOf(env, namespace).clearKvBlocks()));
  return Response.json({ status: 'cleared', workers: told.reduce((sum, workers) => sum + workers, 0) });
}
