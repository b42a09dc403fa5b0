/**
 * `fetch` that holds each answer of a deployment against the published OpenAPI, while the test reads it. What does not fit
 * fails the test that saw it. Importing this puts it in place; nothing is read ahead, so clients that leave still leave.
 */

import { afterEach, expect } from 'vitest';
import { PublishedAnswers, type Watched } from './published-answers.ts';

const published = new PublishedAnswers();
const origins = new Set<string>();
let violations: string[] = [];
const plainFetch = globalThis.fetch;

/** Answers from here on are looked at. */
export function holdToPublished(url: string): void {
  origins.add(new URL(url).origin);
}

globalThis.fetch = async (input, init) => {
  const response = await plainFetch(input, init);
  const { origin, pathname } = new URL(input instanceof Request ? input.url : input);
  if (!origins.has(origin)) return response;
  const method = init?.method ?? (input instanceof Request ? input.method : 'GET');
  const answered = {
    method,
    path: decodeURIComponent(pathname),
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
  };
  const watched = published.watch(answered, (what) => violations.push(what));
  if (response.body === null) return response;
  const { status, statusText, headers } = response;
  const seen = new Response(watchedBody(response.body, watched), { status, statusText, headers });
  Object.defineProperty(seen, 'url', { value: response.url });
  return seen;
};

/** The same bytes at the same time. */
function watchedBody(body: ReadableStream<Uint8Array>, watched: Watched): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          watched.push(decoder.decode(value, { stream: true }));
          controller.enqueue(value);
          return;
        }
        watched.end(true);
        controller.close();
      } catch (error) {
        watched.end(false);
        controller.error(error);
      }
    },
    cancel: (reason: unknown) => reader.cancel(reason),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

afterEach(() => {
  const seen = violations;
  violations = [];
  expect(seen, 'answers that the published OpenAPI does not describe').toEqual([]);
});
