/**
 * The router's gRPC service over HTTP/1.1: bare messages (`application/proto`), and gRPC-Web for unary calls. Generate's
 * stream is the response body itself (`google.api.HttpBody`, as Envoy transcodes it), so it has no frames.
 */
import type { Context } from 'hono';
import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import { readBytes } from '../body.ts';
import { framed, framedError, GRPC_WEB, unframed } from './grpc-web.ts';
import { bestWorkerBody, generateBody } from './messages.ts';

const PROTO = 'application/proto';

export async function readGenerate(request: Request, limitBytes: number): Promise<object> {
  if (isGrpcWeb(request)) {
    throw new StatorError('unsupported_parameter', 'Generate streams its bytes: use application/proto.');
  }
  return generateBody(await readBytes(request, limitBytes));
}

export async function readBestWorker(request: Request, limitBytes: number): Promise<object> {
  const bytes = await readBytes(request, limitBytes);
  return bestWorkerBody(isGrpcWeb(request) ? unframed(bytes) : bytes);
}

/** A handler whose JSON answer leaves as a message, framed as the caller framed its own. */
export function unary<C extends Context, Answer>(
  handle: (context: C) => Promise<Response>,
  encode: (answer: Answer) => Uint8Array,
): (context: C) => Promise<Response> {
  return async (context) => {
    const isWeb = isGrpcWeb(context.req.raw);
    try {
      const response = await handle(context);
      const message = encode((await response.json()) as Answer);
      const headers = new Headers(response.headers);
      headers.set('content-type', isWeb ? GRPC_WEB : PROTO);
      return new Response(isWeb ? framed(message) : message, { headers });
    } catch (thrown) {
      if (!isWeb) throw thrown;
      return new Response(framedError(toStatorError(thrown)), { headers: { 'content-type': GRPC_WEB } });
    }
  };
}

const isGrpcWeb = (request: Request): boolean =>
  (request.headers.get('content-type') ?? '').startsWith('application/grpc-web');
