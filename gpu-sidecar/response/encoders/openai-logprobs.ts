/**
 * Log probabilities in OpenAI's two forms: of chat (https://platform.openai.com/docs/api-reference/chat/object) with each
 * token's bytes, and of completions (https://platform.openai.com/docs/api-reference/completions/object) as parallel lists.
 *
 * Four decimals: what comes behind depends on how an engine cut its batches, and would differ on a worker that continues.
 */

import type { LoggedToken } from '../token-log.ts';
import type { TokenTexts } from '../token-texts.ts';
import { decodeUtf8 } from '../utf8.ts';

export function chatLogprobs(tokens: readonly LoggedToken[], texts: TokenTexts): string {
  return `{"content":[${namedTokens(tokens, texts).join(',')}],"refusal":null}`;
}

/** JSON of each token with those that were likely in its place. */
export function namedTokens(tokens: readonly LoggedToken[], texts: TokenTexts): string[] {
  const named = (id: number, logprob: number) => {
    const bytes = texts.bytes(id);
    return { token: decodeUtf8(bytes), logprob: rounded(logprob), bytes: [...bytes] };
  };
  return tokens.map(({ id, logprobs }) =>
    JSON.stringify({
      ...named(id, logprobs.logprob),
      top_logprobs: logprobs.top.map(([other, logprob]) => named(other, logprob)),
    }),
  );
}

/** The chosen token is always among `top_logprobs`, so that there may be one more than was asked for. */
export function completionLogprobs(tokens: readonly LoggedToken[], texts: TokenTexts): string {
  return JSON.stringify({
    tokens: tokens.map(({ id }) => tokenName(texts.bytes(id))),
    token_logprobs: tokens.map(({ logprobs }) => rounded(logprobs.logprob)),
    top_logprobs: tokens.map(({ id, logprobs }) => {
      const top = new Map(
        logprobs.top.map(([other, logprob]) => [tokenName(texts.bytes(other)), rounded(logprob)]),
      );
      const own = tokenName(texts.bytes(id));
      return Object.fromEntries(top.set(own, rounded(logprobs.logprob)));
    }),
    text_offset: tokens.map(({ offset }) => offset),
  });
}

const rounded = (logprob: number): number => Math.round(logprob * 10_000) / 10_000 || 0;

/** Half characters are named by their bytes, so that different tokens keep different names. */
function tokenName(bytes: Uint8Array): string {
  const text = decodeUtf8(bytes);
  if (!text.includes('\ufffd')) return text;
  return `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}
