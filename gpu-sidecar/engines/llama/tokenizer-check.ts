/**
 * Whether the tokenizer that functions run gives the ids of llama.cpp's: compared on samples at every start, because a
 * wrong conversion would quietly feed the model other tokens than it was trained on.
 */

import { Tokenizer } from '#wasm/tokens';
import type { LlamaModel } from './model.ts';

const SAMPLES = [
  'Hello, world!',
  ' leading and  double   spaces and trailing ',
  "I'm sure they'll say we've DON'T and It'S",
  '1 12 123 1234 12345 3.14159 1,000,000 2026-11-20 v0.5.0',
  'line one\nline two\r\n\n\n  indented\n\ttab\ttab \n ',
  'for (let i = 0; i < n; i++) { out[i] = a[i] ?? 0xff; } // done',
  'https://example.com/a?b=c&d=%20 user@example.org #hashtag',
  'Grüße, façade, naïve, Ωmega, Привет мир, שלום, مرحبا',
  '你好，世界。こんにちは 안녕하세요',
  'emoji 🙂👩‍👩‍👧‍👦🇩🇪 é café',
  '!!! ... ??? --- *** ___ ((())) [[[]]] {{{}}} <<>> ""\'\'``',
  'CamelCase snake_case kebab-case SCREAMING_CASE mixed123abc456',
  'a\u00a0b\u2003c\u200bd\ufeff',
  'x'.repeat(300),
  '    def f(self):\n        return None\n',
  '',
] as const;

/** The first sample on which they differ, or why the file cannot be read; null when all are equal. */
export function tokenizerDifference(model: LlamaModel, tokenizerJson: Uint8Array): string | null {
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(new TextDecoder().decode(tokenizerJson));
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  try {
    const controls = tokenizer.specialTokens.slice(0, 8).join(' text\n');
    for (const text of [...SAMPLES, controls, SAMPLES.join('\n')]) {
      const ours = [...tokenizer.encode(text, { blockSize: 16 }).ids];
      const theirs = [...model.tokenizePlain(text, { parseSpecial: true })];
      if (ours.length !== theirs.length || ours.some((id, i) => id !== theirs[i])) return text;
    }
    return null;
  } finally {
    tokenizer.free();
  }
}
