/**
 * Calls of the platform for somebody who spoke gRPC with this worker: isolates cannot speak HTTP/2, so the worker's gRPC
 * listener takes such calls and asks the platform over HTTP/1.1 as any client would. The caller's own key goes along, and
 * it is the platform that checks it.
 */

import type { Metadata } from '@grpc/grpc-js';
import { isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import type { PlatformUrl } from '../discovery/worker-discovery.ts';
import type { Fetch } from '../tls/tls-fetch.ts';
import { platformRefusal } from './platform-refusal.ts';

/** Credentials and what names the request. */
const HANDED_ON = ['authorization', 'x-api-key', 'x-request-id'];

export interface PlatformCall {
  /** Of the gRPC call. */
  metadata: Metadata;
  signal: AbortSignal;
  /** A GET when there is none. */
  body?: { type: string; bytes: Uint8Array | string };
}

export class PlatformCaller {
  readonly #url: PlatformUrl;
  readonly #fetch: Fetch;

  /** `fetcher`: Node's own, or one with certificates. */
  constructor(url: PlatformUrl, fetcher: Fetch = fetch) {
    this.#url = url;
    this.#fetch = fetcher;
  }

  /** The answer, whatever its status. Throws `worker_unavailable` when there is none. */
  async ask(path: string, { body, metadata, signal }: PlatformCall): Promise<Response> {
    const headers: Record<string, string> = {};
    for (const name of HANDED_ON) {
      const [value] = metadata.get(name);
      if (typeof value === 'string') headers[name] = value;
    }
    const init: RequestInit = { headers, signal };
    if (body !== undefined) {
      headers['content-type'] = body.type;
      init.method = 'POST';
      init.body = typeof body.bytes === 'string' ? body.bytes : new Uint8Array(body.bytes);
    }
    try {
      return await this.#fetch(this.#url() + path, init);
    } catch (cause) {
      throw new StatorError('worker_unavailable', 'the platform does not answer', { cause });
    }
  }

  /** An answer of status 200. Throws what the platform refused with. */
  async get(path: string, call: PlatformCall): Promise<Response> {
    const response = await this.ask(path, call);
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/** OpenAI's error body, as the StatorError that made it. */
export function refusalOf(body: unknown, fallback: string): StatorError {
  const { code, message } = (body as { error?: { code?: string; message?: string } } | null)?.error ?? {};
  const known = code !== undefined && isErrorCode(code) ? code : 'worker_unavailable';
  return new StatorError(known, message ?? fallback);
}

async function refusal(response: Response): Promise<StatorError> {
  const body = await response.json().catch(() => null);
  return platformRefusal(
    response,
    refusalOf(body, `the platform answered with HTTP status ${response.status}`),
  );
}
