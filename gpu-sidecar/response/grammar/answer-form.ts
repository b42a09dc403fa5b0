/** What else than the client's wish decides the form of an answer: how the model writes, and what it may call. */

import type { ToolSpec } from '../parsers/parser.ts';
import type { ControlIds } from './lark.ts';

export interface AnswerForm {
  toolCallParser: string | null;
  reasoningParser: string | null;
  /** The prompt ended inside the reasoning; undefined: the family's own way. */
  reasoningOpen: boolean | undefined;
  tools: readonly ToolSpec[];
  oneToolCall: boolean;
  /** Markup that the vocabulary has as control tokens. */
  controls: ControlIds;
}
