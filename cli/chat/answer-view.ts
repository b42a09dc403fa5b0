/**
 * Shows an answer while it comes: reasoning dim and only on a terminal, then the answer, then on a terminal one dim line
 * of what it cost. A pipe gets the answer and nothing else.
 */

import type { AnswerEnd, Piece } from './chat-client.ts';
import { type Style, styleOf } from './style.ts';

export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
}

export interface Shown {
  text: string;
  reasoning: string;
  /** Null when it was stopped before. */
  end: AnswerEnd | null;
  /** Milliseconds to the first piece and from there to the last. */
  firstMs: number | null;
  streamMs: number;
}

export interface ViewOptions {
  screen: Screen;
  env: Readonly<Record<string, string | undefined>>;
  nowMs: () => number;
}

/** Writes the pieces as they come; resolves with all of it. `stopped` says whether somebody has had enough. */
export async function showAnswer(
  pieces: AsyncIterable<Piece>,
  { screen, env, nowMs }: ViewOptions,
): Promise<Shown> {
  const style = styleOf(screen, env);
  const shown: Shown = { text: '', reasoning: '', end: null, firstMs: null, streamMs: 0 };
  const startedMs = nowMs();
  let last: 'text' | 'reasoning' | null = null;
  let written = '';
  const write = (text: string): void => {
    screen.write(text);
    if (text !== '') written = text;
  };
  try {
    for await (const piece of pieces) {
      if (piece.kind === 'end') {
        shown.end = piece.end;
        continue;
      }
      const sinceMs = nowMs() - startedMs;
      shown.firstMs ??= sinceMs;
      shown.streamMs = sinceMs - shown.firstMs;
      const first = shown[piece.kind] === '';
      shown[piece.kind] += piece.text;
      const text = first ? piece.text.trimStart() : piece.text;
      if (piece.kind === 'reasoning' && screen.isTTY !== true) continue;
      if (last === 'reasoning' && piece.kind === 'text') write('\n\n');
      write(piece.kind === 'text' ? style.printable(text) : style.dim(style.printable(text)));
      last = piece.kind;
    }
  } finally {
    if (last !== null && !written.endsWith('\n')) screen.write('\n');
  }
  if (screen.isTTY === true && shown.end !== null) screen.write(`${costLine(shown, shown.end, style)}\n`);
  return shown;
}

/** Tokens a second between the first and the last; null where that says nothing. */
export function tokensPerSecond({ end, streamMs }: Shown): number | null {
  const tokens = end?.usage?.completion_tokens ?? 0;
  return tokens > 1 && streamMs > 0 ? ((tokens - 1) * 1000) / streamMs : null;
}

function costLine(shown: Shown, { usage, finishReason }: AnswerEnd, style: Style): string {
  const parts: string[] = [];
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    parts.push(`${usage.completion_tokens} tokens`);
    const speed = tokensPerSecond(shown);
    if (speed !== null) parts.push(`${Math.round(speed)} tok/s`);
    parts.push(`${cached} of ${usage.prompt_tokens} prompt tokens cached`);
  }
  if (shown.firstMs !== null) parts.push(`first token after ${(shown.firstMs / 1000).toFixed(2)} s`);
  if (finishReason === 'length') parts.push('cut at the token limit');
  return style.dim(parts.join(' · '));
}
