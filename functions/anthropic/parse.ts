/** What is wrong with a body, as Anthropic says it: the place in dots, a colon, the reason. */
import type * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import { MISSING } from '../openai/issue-words.ts';
import { parseWith } from '../openai/parse.ts';

/** The body as the schema's type. Throws `invalid_request` with `param`. */
export const parseAnthropic = <T>(schema: z.ZodType<T>, body: unknown): T =>
  parseWith(schema, body, ({ path, message }) => {
    const reason = message === MISSING ? 'Field required' : message;
    return refusal(path.length === 0 ? 'body' : path.map(String).join('.'), reason);
  });

export const refusal = (param: string, reason: string): StatorError =>
  new StatorError('invalid_request', `${param}: ${reason}`, { param });

/** What is understood but not served. */
export const notServed = (param: string, reason: string): StatorError =>
  new StatorError('unsupported_parameter', `${param}: ${reason}`, { param });
