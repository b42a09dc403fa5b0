/**
 * Objects in a bucket of S3 or what speaks its API (path style), signed by aws4fetch. A busy service (429, 5xx) is asked again
 * after growing pauses, a few times; everything else is a fault at once.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { type Fault, TierFault } from '../tiers/tier-store.ts';
import type { ObjectStore } from './object-store.ts';

export interface S3Options {
  /** `https://s3.eu-central-1.amazonaws.com` */
  endpoint: string;
  region: string;
  bucket: string;
  /** Before every key; ends in a slash or is empty. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
}

export class S3 implements ObjectStore {
  readonly #client: AwsClient;
  readonly #bucketUrl: string;
  readonly #prefix: string;

  constructor(options: S3Options) {
    const { accessKeyId, secretAccessKey, region } = options;
    this.#client = new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 });
    this.#bucketUrl = `${options.endpoint.replace(/\/+$/, '')}/${options.bucket}`;
    this.#prefix = options.prefix;
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const response = await this.#ask('PUT', this.#urlOf(key), { body: bytes as BodyInit, signal });
    await response.arrayBuffer();
  }

  async get(key: string, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.#ask('GET', this.#urlOf(key), { signal });
    const said = Number(response.headers.get('content-length') ?? length);
    const bytes = said === length ? await wholeBody(response, key) : null;
    if (bytes?.length === length) return bytes;
    await response.body?.cancel().catch(() => {});
    throw new TierFault('short_read', `${key} has ${bytes?.length ?? said} bytes, not ${length}`);
  }

  async has(key: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#ask('HEAD', this.#urlOf(key), { signal });
      return true;
    } catch (thrown) {
      if (thrown instanceof TierFault && thrown.fault === 'missing') return false;
      throw thrown;
    }
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const response = await this.#ask('DELETE', this.#urlOf(key), { signal });
    await response.arrayBuffer();
  }

  async list(prefix: string, limit: number, signal: AbortSignal): Promise<string[]> {
    const keys: string[] = [];
    for (let token: string | undefined = ''; token !== undefined && keys.length < limit; ) {
      const query = new URLSearchParams({ 'list-type': '2', prefix: this.#prefix + prefix });
      if (token !== '') query.set('continuation-token', token);
      const response = await this.#ask('GET', `${this.#bucketUrl}?${query}`, { signal });
      const xml = await response.text();
      for (const [, key] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) keys.push(key!.slice(this.#prefix.length));
      token = /<NextContinuationToken>([^<]*)</.exec(xml)?.[1];
    }
    return keys.slice(0, limit);
  }

  #urlOf(key: string): string {
    const path = (this.#prefix + key).split('/').map(encodeURIComponent).join('/');
    return `${this.#bucketUrl}/${path}`;
  }

  async #ask(method: string, url: string, init: { body?: BodyInit; signal: AbortSignal }): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#send(method, url, init);
      if (response.ok) return response;
      const body = (await response.text()).slice(0, LIMITS.kvbmErrorBodyLength);
      const fault = faultOf(response.status, body);
      if (fault !== 'unavailable' || attempt === LIMITS.kvbmObjectRetries) {
        throw new TierFault(fault, `${method} ${url}: ${response.status} ${body}`);
      }
      await pause(LIMITS.kvbmObjectPauseMs * 2 ** attempt, undefined, { signal: init.signal });
    }
  }

  async #send(
    method: string,
    url: string,
    init: { body?: BodyInit; signal: AbortSignal },
  ): Promise<Response> {
    try {
      return await this.#client.fetch(url, { method, ...init });
    } catch (thrown) {
      if (init.signal.aborted) throw new TierFault('timeout', `${method} ${url}`, thrown);
      throw new TierFault('unavailable', `${method} ${url}: ${reasonOf(thrown)}`, thrown);
    }
  }
}

/** A bucket that there is not is no missing block. */
function faultOf(status: number, body: string): Fault {
  if (body.includes('NoSuchBucket')) return 'denied';
  return FAULT_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'io');
}

const FAULT_OF_STATUS: Readonly<Record<number, Fault>> = {
  401: 'denied',
  403: 'denied',
  404: 'missing',
  429: 'unavailable',
  507: 'no_space',
};

/** A connection that breaks within the body is a short read. */
async function wholeBody(response: Response, key: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (thrown) {
    const timedOut = (thrown as Error).name === 'TimeoutError' || (thrown as Error).name === 'AbortError';
    throw new TierFault(timedOut ? 'timeout' : 'short_read', `${key}: ${reasonOf(thrown)}`, thrown);
  }
}

const reasonOf = (thrown: unknown): string => {
  const { message, cause } = thrown as { message: string; cause?: { message?: string } };
  return cause?.message ?? message;
};
