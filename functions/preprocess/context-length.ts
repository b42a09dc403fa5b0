/** Does it fit? Prompt and answer share the model's context; the error names the numbers, as OpenAI's does. */
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';

export interface ContextUse {
  contextLengthTokens: number;
  promptTokens: number;
  /** null: the client named none. */
  maxTokens: number | null;
  /** A larger `maxTokens` than there is room for is cut to fit. */
  shrink: boolean;
  /** The field that holds the prompt. */
  promptParam: 'messages' | 'prompt';
}

/** Most tokens to generate. Throws `context_length_exceeded`. */
export function boundedMaxTokens(use: ContextUse): number {
  const { contextLengthTokens, promptTokens, maxTokens, promptParam } = use;
  const left = contextLengthTokens - promptTokens;
  const limit = `This model's maximum context length is ${contextLengthTokens} tokens.`;
  if (left < 1) {
    const message = `${limit} However, your ${promptParam} resulted in ${promptTokens} tokens, which leaves no room for an answer. Please reduce the length of the ${promptParam}.`;
    throw new StatorError('context_length_exceeded', message, { param: promptParam });
  }
  if (maxTokens === null) return Math.min(left, LIMITS.defaultMaxTokens);
  if (maxTokens > left && use.shrink) return left;
  if (maxTokens > left) {
    const asked = promptTokens + maxTokens;
    const message = `${limit} However, you requested ${asked} tokens (${promptTokens} in the ${promptParam}, ${maxTokens} in the completion). Please reduce the length of the ${promptParam} or completion.`;
    throw new StatorError('context_length_exceeded', message, { param: 'max_tokens' });
  }
  return maxTokens;
}
