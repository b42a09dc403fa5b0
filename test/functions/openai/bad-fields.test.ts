/**
 * Every field of the published request schemas, each bound crossed, each wrong type, each unknown name: refused, naming the
 * field. The cases are made of the document, so a new field has its cases at once.
 */

import { describe, expect, test } from 'vitest';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';
import { openApiDocument } from '../../../functions/openapi/document.ts';
import { bestWorkerRequest, generateRequest } from '../../../functions/router/token-request.ts';
import { violations } from '../../harness/violations.ts';

const { schemas } = openApiDocument().components;
const message = { role: 'user', content: 'hi' };

const ENDPOINTS = [
  { name: 'ChatCompletionRequest', parse: chatRequest, good: { messages: [message] } },
  { name: 'CompletionRequest', parse: completionsRequest, good: { prompt: 'hi' } },
  { name: 'RouterGenerateRequest', parse: generateRequest, good: { token_ids: [1] } },
  { name: 'BestWorkerRequest', parse: bestWorkerRequest, good: { token_ids: [1] } },
] as const;

function refusalOf(parse: (json: unknown) => unknown, body: object): unknown {
  try {
    parse(JSON.parse(JSON.stringify(body)));
  } catch (thrown) {
    return thrown;
  }
  return null;
}

describe.each(ENDPOINTS)('$name', ({ name, parse, good }) => {
  const whole = { model: 'm', ...good };
  const cases = violations(schemas[name]!, '').filter(({ field }) => field !== '');

  test('takes what is right', () => {
    expect(refusalOf(parse, whole)).toBeNull();
  });

  test('refuses whatever the schema forbids, by name', () => {
    expect(cases.length).toBeGreaterThan(80);
    const wrong = cases.flatMap(({ field, what, value }) => {
      const refusal = refusalOf(parse, { ...whole, ...(value as object) });
      if (refusal instanceof StatorError && refusal.httpStatus === 400 && refusal.param === field) return [];
      return [`${field}, ${what}: ${refusal}`];
    });
    expect(wrong).toEqual([]);
  });
});
