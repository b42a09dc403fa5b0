/** The namespaces whose Router objects an operation speaks to: those with models, and the configured one. */
import { type Env, settingsOf } from '../env.ts';
import { knownModels } from './models.ts';

export async function namespacesNow(env: Env, nowMs: number): Promise<string[]> {
  const models = await knownModels(env, nowMs);
  return [...new Set([settingsOf(env).namespace, ...models.map(({ namespace }) => namespace)])];
}
