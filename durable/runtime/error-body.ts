/**
 * A failure in the words of the API that was called: as a body, and as the event that ends a stream. Functions and
 * sidecars write the same.
 *
 * The event has no id: it is not part of the answer and nothing comes after it.
 */
import type { StatorError } from './errors.ts';

/** Whose client the caller uses. */
export type Api = 'openai' | 'responses' | 'anthropic';

/** `requestId` is part of Anthropic's body, and left out where nobody knows it. */
export function errorBody(error: StatorError, api: Api, requestId?: string): string {
  return JSON.stringify(api === 'anthropic' ? error.toAnthropic(requestId) : error.toOpenAi());
}

/** The event's lines, without the empty one behind them; `events` came before it. */
export function errorLines(error: StatorError, api: Api, events = 0): string {
  if (api === 'responses') {
    const { message, param, code } = error.toOpenAi().error;
    const event = { type: 'error', sequence_number: events, code, message, param };
    return `event: error\ndata: ${JSON.stringify(event)}`;
  }
  const data = `data: ${errorBody(error, api)}`;
  return api === 'anthropic' ? `event: error\n${data}` : data;
}

/** Whether a complete body is one of these. */
export const ERROR_BODY = /^\{"(?:error"|type":"error")/;
