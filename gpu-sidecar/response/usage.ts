/** OpenAI's usage object (https://platform.openai.com/docs/api-reference/chat/object), counts in tokens. */

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  /** Of these, tokens of reasoning. */
  reasoningTokens?: number;
  /** Prompt tokens that the worker found in its cache. */
  cachedTokens: number;
}

/** `cached_tokens` comes last: what a resumed stream may have to adopt (`resumed-stream.ts`). */
export const usageJson = (usage: Usage): string =>
  `{"prompt_tokens":${usage.promptTokens},"completion_tokens":${usage.completionTokens},` +
  `"total_tokens":${usage.promptTokens + usage.completionTokens},` +
  `"prompt_tokens_details":{"cached_tokens":${usage.cachedTokens}}}`;
