/**
 * etcd's API as it speaks JSON over HTTP (the gRPC gateway, `/v3/…`, etcd 3.4 and later): the few calls that discovery
 * makes. Keys and values are base64, 64-bit numbers are text. No client package: for seven calls it is not worth one.
 *
 * Several members of a cluster may be named; a call that gets no answer makes the next call go to the next one.
 */

import * as z from 'zod';
import { StatorError } from '../../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import type { DiscoveryEntry } from '../../discovery.ts';

const kv = z.object({ key: z.string(), value: z.string().default('') });
const header = z.looseObject({ revision: z.string().default('0') });
const grantAnswer = z.looseObject({ ID: z.string() });
const keepAliveAnswer = z.looseObject({ result: z.looseObject({ TTL: z.string().default('0') }) });
const rangeAnswer = z.looseObject({ header, kvs: z.array(kv).default([]) });
const watchAnswer = z.looseObject({
  result: z.looseObject({
    header,
    canceled: z.boolean().default(false),
    events: z.array(z.looseObject({ type: z.string().default('PUT'), kv })).default([]),
  }),
});
const refusal = z.looseObject({ code: z.number().default(0), message: z.string().default('') });

/** gRPC's NOT_FOUND, of a lease. */
const NOT_FOUND = 5;

/** The lease that a call named is not there any more. */
export class LeaseLost extends Error {}

export type EtcdEvent = { kind: 'put'; key: string; value: string } | { kind: 'delete'; key: string };

export class EtcdGateway {
  readonly #urls: readonly string[];
  #at = 0;

  /** Base URLs. */
  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  async grant(ttlS: number): Promise<string> {
    return (await this.#call('lease/grant', { TTL: String(ttlS) }, grantAnswer)).ID;
  }

  /** Throws LeaseLost. */
  async keepAlive(lease: string): Promise<void> {
    const { result } = await this.#call('lease/keepalive', { ID: lease }, keepAliveAnswer);
    if (Number(result.TTL) <= 0) throw new LeaseLost();
  }

  /** Its keys go with it. */
  async revoke(lease: string): Promise<void> {
    await this.#call('lease/revoke', { ID: lease }, z.unknown());
  }

  /** Throws LeaseLost. */
  async put(key: string, value: string, lease: string): Promise<void> {
    await this.#call('kv/put', { key: encode(key), value: encode(value), lease }, z.unknown());
  }

  async delete(key: string): Promise<void> {
    await this.#call('kv/deleterange', { key: encode(key) }, z.unknown());
  }

  /** What is there, by key, and at which revision of the store. */
  async range(prefix: string): Promise<{ entries: DiscoveryEntry[]; revision: number }> {
    const { kvs, header } = await this.#call('kv/range', prefixRange(prefix), rangeAnswer);
    const entries = kvs.map(({ key, value }) => ({ key: decode(key), value: decode(value) }));
    return { entries, revision: Number(header.revision) };
  }

  /**
   * What happens to the keys of a prefix from a revision on. Ends when the server has forgotten that revision, closes, or
   * says nothing for `LIMITS.discoveryWatchMs`: then the whole list has to be read again. Throws when it cannot be asked.
   */
  async *watch(prefix: string, revision: number, closed: AbortSignal): AsyncGenerator<EtcdEvent[]> {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), LIMITS.discoveryWatchMs);
    const create_request = { ...prefixRange(prefix), start_revision: String(revision) };
    const signal = AbortSignal.any([closed, silent.signal]);
    try {
      const response = await this.#post('watch', { create_request }, signal);
      for await (const line of lines(response)) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), LIMITS.discoveryWatchMs);
        const { result } = watchAnswer.parse(JSON.parse(line));
        if (result.canceled) return;
        if (result.events.length > 0) yield result.events.map(eventOf);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    } finally {
      clearTimeout(timer);
      silent.abort();
    }
  }

  async #call<S extends z.ZodType>(path: string, body: unknown, answer: S): Promise<z.output<S>> {
    const response = await this.#post(path, body, AbortSignal.timeout(LIMITS.discoveryCallMs));
    try {
      return answer.parse(await response.json());
    } catch (cause) {
      throw this.#away(path, cause);
    }
  }

  async #post(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      const init = { method: 'POST', body: JSON.stringify(body), signal, redirect: 'error' as const };
      response = await fetch(`${this.#urls[this.#at]}/v3/${path}`, init);
    } catch (cause) {
      throw this.#away(path, cause);
    }
    if (response.ok) return response;
    const said = refusal.safeParse(await response.json().catch(() => null)).data;
    if (said?.code === NOT_FOUND && said.message.includes('lease')) throw new LeaseLost();
    throw this.#away(path, new Error(said?.message || `HTTP status ${response.status}`));
  }

  #away(path: string, cause: unknown): StatorError {
    const url = this.#urls[this.#at];
    this.#at = (this.#at + 1) % this.#urls.length;
    const { message, cause: deeper } = cause as Error;
    const why = deeper instanceof Error ? deeper.message : message;
    return new StatorError('worker_unavailable', `etcd at ${url} does not do ${path}: ${why}`, { cause });
  }
}

function eventOf({ type, kv: { key, value } }: { type: string; kv: z.output<typeof kv> }): EtcdEvent {
  if (type === 'DELETE') return { kind: 'delete', key: decode(key) };
  return { kind: 'put', key: decode(key), value: decode(value) };
}

/** From the prefix up to the first key that does not begin with it; `\0` twice: everything. */
function prefixRange(prefix: string): { key: string; range_end: string } {
  const bytes = Buffer.from(prefix === '' ? '\0' : prefix);
  const end = Buffer.from(bytes);
  end[end.length - 1] = prefix === '' ? 0 : end[end.length - 1]! + 1;
  return { key: bytes.toString('base64'), range_end: end.toString('base64') };
}

/** Each is one JSON document. */
async function* lines(response: Response): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    if (rest.length > LIMITS.discoveryWatchLength) throw new Error('a message of etcd is too long');
    for (const part of parts) if (part.trim() !== '') yield part;
  }
}

const encode = (text: string) => Buffer.from(text).toString('base64');
const decode = (text: string) => Buffer.from(text, 'base64').toString('utf8');
