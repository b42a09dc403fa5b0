/** Files that a model card names by content hash. */

import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { type Artifact, ArtifactSchema } from '../proto/gen/stator/v1/model_pb.js';

/** Collects files; `add` returns the card's reference to one. */
export class ArtifactStore {
  readonly files = new Map<string, Uint8Array>();

  add(bytes: Uint8Array): Artifact {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.files.set(sha256, bytes);
    return create(ArtifactSchema, { sha256, sizeBytes: BigInt(bytes.length) });
  }

  addText(text: string): Artifact {
    return this.add(new TextEncoder().encode(text));
  }
}
