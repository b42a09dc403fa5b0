/**
 * A file that a model card names by content hash, from whichever worker has it, or from the Directory object, which keeps those
 * of models that may sleep. What arrives is checked against the hash, so no worker can hand the platform another one's
 * tokenizer.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import {
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { concat } from '../bytes.ts';
import { callWorker } from '../dispatch/worker-call.ts';
import { directoryOf, type Env } from '../env.ts';

const SCHEMAS = { request: GetArtifactRequestSchema, response: GetArtifactResponseSchema };

/** What it takes to ask; any `Caller` is one. */
export interface FileSource {
  env: Env;
  settings: { fleetToken: string };
}

/** The bytes with this SHA-256 (lower-case hex). Throws the last worker's error when none has them. */
export async function fetchArtifact(
  model: ModelEntry,
  sha256: string,
  { env, settings: { fleetToken } }: FileSource,
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
  if (model.maySleep) {
    const kept = await keptFile(env, sha256);
    if (kept !== null && (await sha256Hex(kept)) === sha256) return kept;
  }
  throw failure;
}

/** Null: it is not kept. */
async function keptFile(env: Env, sha256: string): Promise<Uint8Array | null> {
  const directory = directoryOf(env);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await directory.file(sha256, pieces.length).catch(() => null);
    if (piece === null) break;
    pieces.push(piece);
  }
  return pieces.length === 0 ? null : concat(pieces);
}

async function sha256Hex(data: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
