/**
 * `GET` and `POST /busy_threshold`: above which load a model's workers count as overloaded (semantics §1.8), with Dynamo's
 * names. GET lists all models; POST changes one: fields that are missing stay as they are, `"off"` takes a threshold
 * away. A change lives as long as the model's Router object; what a start begins with are the settings.
 */
import * as z from 'zod';
import type { BusyThresholds } from '../../durable/router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { directoryOf, type Env, routerOf, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { modelsNow } from './models.ts';

const threshold = (most: number) => z.union([z.literal('off'), z.number().min(0).max(most)]).nullish();

export const busyThresholdChangeSchema = z.strictObject({
  model: z.string().min(1),
  active_decode_blocks_threshold: threshold(1),
  active_prefill_tokens_threshold: threshold(Number.MAX_SAFE_INTEGER),
  active_prefill_tokens_threshold_frac: threshold(1e9),
});

const inEffect = z.number().nullable();

/** The thresholds of one model; null: off. */
export const busyThresholdsSchema = z.object({
  model: z.string(),
  active_decode_blocks_threshold: inEffect,
  active_prefill_tokens_threshold: inEffect,
  active_prefill_tokens_threshold_frac: inEffect,
});

export async function listBusyThresholds(env: Env, nowMs: number): Promise<Response> {
  const models = await modelsNow(env, nowMs);
  const thresholds = await Promise.all(models.map((model) => thresholdsOf(env, model, {})));
  return Response.json({ thresholds });
}

/** Throws `invalid_request` naming the field, or `model_not_found`. */
export async function setBusyThreshold(env: Env, request: Request, nowMs: number): Promise<Response> {
  const change = parseBody(
    busyThresholdChangeSchema,
    await readJson(request, settingsOf(env).bodyLimitBytes),
  );
  const model = await directoryCopy.find(change.model, (known) => directoryOf(env).read(known), nowMs);
  return Response.json(
    await thresholdsOf(env, model, {
      ...given('activeDecodeBlocks', change.active_decode_blocks_threshold),
      ...given('activePrefillTokens', change.active_prefill_tokens_threshold),
      ...given('activePrefillTokensFrac', change.active_prefill_tokens_threshold_frac),
    }),
  );
}

const given = (name: keyof BusyThresholds, value: number | 'off' | null | undefined) =>
  value == null ? {} : { [name]: value === 'off' ? null : value };

async function thresholdsOf(
  env: Env,
  { name, namespace }: { name: string; namespace: string },
  change: Partial<BusyThresholds>,
): Promise<z.output<typeof busyThresholdsSchema>> {
  const thresholds = await routerOf(env, namespace).busyThresholds(name, change);
  if (thresholds === null) {
    throw new StatorError('model_not_found', `The model '${name}' is not served any more.`, {
      param: 'model',
    });
  }
  return {
    model: name,
    active_decode_blocks_threshold: thresholds.activeDecodeBlocks,
    active_prefill_tokens_threshold: thresholds.activePrefillTokens,
    active_prefill_tokens_threshold_frac: thresholds.activePrefillTokensFrac,
  };
}
