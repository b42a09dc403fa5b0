/**
 * A file that a model card names by content hash, from whichever worker has it. What arrives is checked against the
 * hash, so no worker can hand the platform another one's tokenizer.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { callWorker } from '../dispatch/worker-call.ts';

const SCHEMAS = { request: GetArtifactRequestSchema, response: GetArtifactResponseSchema };

/** The bytes with this SHA-256 (lower-case hex). Throws the last worker's error when none has them. */
export async function fetchArtifact(
  model: ModelEntry,
  sha256: string,
  fleetToken: string,
): Promise<Uint8Array> {
  let failure: unknown = new StatorError('no_workers', `No worker serves the model '${model.name}'.`);
  for (const address of model.addresses) {
    try {
      const { data } = await callWorker({ address, fleetToken }, 'GetArtifact', SCHEMAS, { sha256 });
      if ((await sha256Hex(data)) === sha256) return data;
      failure = new StatorError('worker_unavailable', `A worker sent a wrong file for ${sha256}.`);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function sha256Hex(data: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
