/** A file that a model card names, from a worker's HTTP/1.1 face, checked against its hash. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  GetArtifactRequestSchema,
  GetArtifactResponseSchema,
} from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import { StatorError } from '../runtime/errors.ts';

/** Throws StatorError `worker_unavailable`. */
export async function fetchFile(address: string, sha256: string, fleetToken: string): Promise<Uint8Array> {
  const response = await fetch(`${address}/stator.v1.Worker/GetArtifact`, {
    method: 'POST',
    headers: { 'content-type': 'application/proto', authorization: `Bearer ${fleetToken}` },
    body: toBinary(GetArtifactRequestSchema, create(GetArtifactRequestSchema, { sha256 })),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new StatorError('worker_unavailable', `the worker answered ${response.status}`);
  }
  const { data } = fromBinary(GetArtifactResponseSchema, new Uint8Array(await response.arrayBuffer()));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data as Uint8Array<ArrayBuffer>));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (hex === sha256) return data;
  throw new StatorError('worker_unavailable', 'the worker sent a wrong file');
}
