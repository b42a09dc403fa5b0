/** KvTransfer on native gRPC: the metadata, and pulls as streams both ways. What they do is the source's (`transfer/source.ts`). */

import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { PullAnswer, PullRequest } from '../../proto/gen/stator/v1/kv_pb.js';
import type { BlockSource } from '../../transfer/source.ts';

/** Resolves when the pull has ended. */
export async function servePull(
  source: BlockSource,
  stream: ServerDuplexStream<PullRequest, PullAnswer>,
): Promise<void> {
  const gone = new AbortController();
  stream.on('cancelled', () => gone.abort());
  stream.on('error', () => gone.abort());
  stream.on('close', () => gone.abort());
  await source.serve({
    // A stream that breaks ends what is heard of it; `gone` says so to everyone else.
    requests: stream,
    gone: gone.signal,
    send: (answer) => void stream.write(answer),
  });
  stream.end();
}
