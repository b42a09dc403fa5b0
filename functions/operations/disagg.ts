/**
 * `GET` and `POST /disagg`: which prompts of a model go to its prefill workers (semantics §6). GET lists all models; POST changes
 * one while it runs: fields that are missing stay as they are, `"off"` takes a threshold away. A change lives as long as the
 * model's Router object; what a start begins with are the settings.
 */
import * as z from 'zod';
import { DISAGG_POLICIES, type DisaggSettings } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { directoryOf, type Env, routerOf, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { modelsNow } from './models.ts';

const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER).nullish();
const threshold = (most: number) => z.union([z.literal('off'), z.number().min(0).max(most)]).nullish();

export const disaggChangeSchema = z.strictObject({
  model: z.string().min(1),
  policy: z.enum(DISAGG_POLICIES).nullish(),
  isl_tokens: amount,
  isl_ratio: amount,
  prefill_busy_threshold: threshold(1e9),
  decode_busy_threshold: threshold(1),
  max_local_prefill_length: amount,
  max_prefill_queue_size: amount,
});

const inEffect = z.number().min(0);

/** The conditions of one model; null: off. */
export const disaggSchema = z.object({
  model: z.string(),
  policy: z.enum(DISAGG_POLICIES),
  isl_tokens: inEffect,
  isl_ratio: inEffect,
  prefill_busy_threshold: inEffect.nullable(),
  decode_busy_threshold: inEffect.nullable(),
  max_local_prefill_length: inEffect,
  max_prefill_queue_size: inEffect,
});

type Conditions = z.output<typeof disaggSchema>;

export async function listDisagg(env: Env, nowMs: number): Promise<Response> {
  const models = await modelsNow(env, nowMs);
  return Response.json({ models: await Promise.all(models.map((model) => conditionsOf(env, model, {}))) });
}

/** Throws `invalid_request` naming the field, also one that the policy lacks, or `model_not_found`. */
export async function setDisagg(env: Env, request: Request, nowMs: number): Promise<Response> {
  const asked = parseBody(disaggChangeSchema, await readJson(request, settingsOf(env).bodyLimitBytes));
  const model = await directoryCopy.find(asked.model, (known) => directoryOf(env).read(known), nowMs);
  const change = changeOf(asked);
  requireThreshold({ ...fieldsOf(await conditionsOf(env, model, {})), ...change });
  return Response.json(await conditionsOf(env, model, change));
}

/** Without one no worker is ever busy, and the policy would do what `always` does. */
function requireThreshold({
  policy,
  prefillBusyThreshold,
}: Pick<DisaggSettings, 'policy' | 'prefillBusyThreshold'>): void {
  if (policy !== 'prefill_load' || prefillBusyThreshold !== null) return;
  const message =
    "The policy 'prefill_load' wants a 'prefill_busy_threshold': without one no prefill worker is ever busy.";
  throw new StatorError('invalid_request', message, { param: 'prefill_busy_threshold' });
}

const fieldsOf = ({ policy, prefill_busy_threshold: prefillBusyThreshold }: Conditions) => ({
  policy,
  prefillBusyThreshold,
});

function changeOf(asked: z.output<typeof disaggChangeSchema>): Partial<DisaggSettings> {
  const change: Partial<DisaggSettings> = {};
  if (asked.policy != null) change.policy = asked.policy;
  if (asked.isl_tokens != null) change.islTokens = asked.isl_tokens;
  if (asked.isl_ratio != null) change.islRatio = asked.isl_ratio;
  const { prefill_busy_threshold: prefill, decode_busy_threshold: decode } = asked;
  if (prefill != null) change.prefillBusyThreshold = prefill === 'off' ? null : prefill;
  if (decode != null) change.decodeBusyThreshold = decode === 'off' ? null : decode;
  if (asked.max_local_prefill_length != null) change.maxLocalPrefillLength = asked.max_local_prefill_length;
  if (asked.max_prefill_queue_size != null) change.maxPrefillQueueSize = asked.max_prefill_queue_size;
  return change;
}

async function conditionsOf(
  env: Env,
  { name, namespace }: { name: string; namespace: string },
  change: Partial<DisaggSettings>,
): Promise<Conditions> {
  const settings = await routerOf(env, namespace).disagg(name, change);
  if (settings === null) {
    const message = `The model '${name}' is not served any more.`;
    throw new StatorError('model_not_found', message, { param: 'model' });
  }
  return {
    model: name,
    policy: settings.policy,
    isl_tokens: settings.islTokens,
    isl_ratio: settings.islRatio,
    prefill_busy_threshold: settings.prefillBusyThreshold,
    decode_busy_threshold: settings.decodeBusyThreshold,
    max_local_prefill_length: settings.maxLocalPrefillLength,
    max_prefill_queue_size: settings.maxPrefillQueueSize,
  };
}
