/**
 * Calls of a Kubernetes API server, in isolates and in Node: whoever calls brings the `fetch` that reaches it and the token.
 *
 * An answer is a value, whatever it is: a server that says no, or says nothing, is nothing exceptional to those who live beside
 * one. Reads are asked again a few times when the server is busy, broken or away; changes only when it said that it was busy, so
 * that none is made twice. The token is read for every call, because kubelet replaces it while we run.
 */

import { LIMITS } from './limits.ts';

/** How the server is reached. */
export interface KubernetesAccess {
  /** `path` begins with a slash. Throws like `fetch`. */
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** The bearer token, as it is now. Throws when there is none. */
  token(): Promise<string>;
  pause(ms: number): Promise<void>;
}

export type KubernetesAnswer =
  | { kind: 'ok'; body: unknown }
  /** `message` is the server's own. */
  | { kind: 'refused'; status: number; message: string }
  | { kind: 'unreachable'; message: string };

interface Call {
  method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  /** JSON. */
  body?: unknown;
  contentType?: string;
}

export class KubernetesApi {
  readonly #access: KubernetesAccess;

  constructor(access: KubernetesAccess) {
    this.#access = access;
  }

  async call(call: Call): Promise<KubernetesAnswer> {
    for (let attempt = 1; ; attempt++) {
      const { answer, retryAfterMs } = await this.#once(call);
      if (retryAfterMs === null || attempt === LIMITS.kubernetesAttempts) return answer;
      await this.#access.pause(Math.max(retryAfterMs, LIMITS.kubernetesPauseMs * 2 ** (attempt - 1)));
    }
  }

  /** A response whose body is a stream of events, one JSON line each, until `signal`. */
  async open(path: string, signal: AbortSignal): Promise<Response | KubernetesAnswer> {
    try {
      const response = await this.#send({ path }, signal);
      return response.ok ? response : await answerOf(response);
    } catch (error) {
      return unreachable(error);
    }
  }

  async #once(call: Call): Promise<{ answer: KubernetesAnswer; retryAfterMs: number | null }> {
    const isRead = (call.method ?? 'GET') === 'GET';
    try {
      const response = await this.#send(call, AbortSignal.timeout(LIMITS.kubernetesCallMs));
      const { status, headers } = response;
      const isBusy = status === 429 || (status === 503 && headers.has('retry-after'));
      const seconds = Math.min(Number(headers.get('retry-after') ?? 0) || 0, LIMITS.kubernetesRetryAfterS);
      const again = isBusy || (isRead && status >= 500);
      return { answer: await answerOf(response), retryAfterMs: again ? seconds * 1_000 : null };
    } catch (error) {
      return { answer: unreachable(error), retryAfterMs: isRead ? 0 : null };
    }
  }

  async #send({ method = 'GET', path, body, contentType }: Call, signal: AbortSignal): Promise<Response> {
    const token = (await this.#access.token()).trim();
    const headers: Record<string, string> = { accept: 'application/json' };
    if (token !== '') headers['authorization'] = `Bearer ${token}`;
    if (body === undefined) return this.#access.fetch(path, { method, headers, signal });
    headers['content-type'] = contentType ?? 'application/json';
    return this.#access.fetch(path, { method, headers, signal, body: JSON.stringify(body) });
  }
}

/** What went wrong in words for people; `what` is the object that was asked for. */
export function kubernetesProblem(what: string, answer: Exclude<KubernetesAnswer, { kind: 'ok' }>): string {
  if (answer.kind === 'unreachable') return `the Kubernetes API server does not answer: ${answer.message}`;
  const { message, status } = answer;
  if (status === 401) return 'the Kubernetes API server does not accept our token';
  if (status === 403) return `Kubernetes does not allow it: ${message}`;
  if (status === 404) return `Kubernetes has no ${what}: ${message}`;
  return `Kubernetes refuses ${what} with status ${status}: ${message}`;
}

const unreachable = (error: unknown): KubernetesAnswer => {
  const { cause, message, name } = error as Error & { cause?: unknown };
  if (name === 'TimeoutError') return { kind: 'unreachable', message: 'no answer in time' };
  const why = cause instanceof Error && cause.message !== '' ? cause.message : message;
  return { kind: 'unreachable', message: why || String(error) };
};

async function answerOf(response: Response): Promise<KubernetesAnswer> {
  const text = await boundedText(response);
  const body = parsed(text);
  if (response.ok && body !== undefined) return { kind: 'ok', body };
  const said = (body as { message?: unknown } | undefined)?.message;
  const message = typeof said === 'string' ? said : text;
  const { status } = response;
  if (response.ok) return { kind: 'unreachable', message: 'what answers there is no Kubernetes API server' };
  return { kind: 'refused', status, message: message.slice(0, LIMITS.kubernetesMessageLength) };
}

async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.byteLength;
    if (bytes > LIMITS.kubernetesAnswerBytes) throw new Error('the answer is too large');
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
