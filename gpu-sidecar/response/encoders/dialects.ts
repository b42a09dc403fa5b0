/** The dialects that a response can be written in, by name. */

import type { EncodeDocument, MakeChunkEncoder } from '../encoder.ts';
import type { DialectName } from '../facts.ts';
import { openAiChatChunk } from './openai-chat-chunk.ts';
import { openAiChatCompletion } from './openai-chat-completion.ts';
import { openAiCompletion } from './openai-completion.ts';
import { openAiCompletionChunk } from './openai-completion-chunk.ts';

export const DIALECTS: Readonly<Record<DialectName, { chunks: MakeChunkEncoder; document: EncodeDocument }>> =
  {
    'openai-chat': { chunks: openAiChatChunk, document: openAiChatCompletion },
    'openai-completion': { chunks: openAiCompletionChunk, document: openAiCompletion },
  };
