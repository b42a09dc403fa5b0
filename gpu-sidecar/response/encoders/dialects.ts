/** The dialects that a response can be written in, by name. */

import { type Api, errorBody, errorLines } from '../../../durable/runtime/error-body.ts';
import type { DialectEncoder, EncodeDocument, MakeChunkEncoder } from '../encoder.ts';
import type { DialectName } from '../facts.ts';
import { anthropicEvents } from './anthropic-events.ts';
import { anthropicMessage } from './anthropic-message.ts';
import { openAiChatChunk } from './openai-chat-chunk.ts';
import { openAiChatCompletion } from './openai-chat-completion.ts';
import { openAiCompletion } from './openai-completion.ts';
import { openAiCompletionChunk } from './openai-completion-chunk.ts';
import { openAiResponse, openAiResponseRecord } from './openai-response.ts';
import { openAiResponseEvents } from './openai-response-events.ts';

export const DIALECTS: Readonly<Record<DialectName, DialectEncoder>> = {
  'openai-chat': dialect('openai', openAiChatChunk, openAiChatCompletion),
  'openai-completion': dialect('openai', openAiCompletionChunk, openAiCompletion),
  'anthropic-messages': dialect('anthropic', anthropicEvents, anthropicMessage),
  'openai-responses': {
    ...dialect('responses', openAiResponseEvents, openAiResponse),
    record: openAiResponseRecord,
  },
};

function dialect(api: Api, chunks: MakeChunkEncoder, document: EncodeDocument): DialectEncoder {
  return {
    chunks,
    document,
    errorLines: (error, events) => errorLines(error, api, events),
    errorDocument: (error) => errorBody(error, api),
  };
}
