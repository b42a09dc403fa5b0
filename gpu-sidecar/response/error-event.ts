/**
 * A failure after the response head is out. As an event it has no id: it is not part of the answer and nothing
 * comes after it. Without streaming it is OpenAI's error body in place of the document.
 */

import type { StatorError } from '../../durable/runtime/errors.ts';
import { EVENT_END } from './comment.ts';

export const errorEvent = (error: StatorError): string =>
  `data: ${JSON.stringify(error.toOpenAi())}${EVENT_END}`;

export const errorDocument = (error: StatorError): string => JSON.stringify(error.toOpenAi());
