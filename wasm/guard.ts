// The guard against special tokens in what users write (prompt injection), the JavaScript half.
//
// Why: a chat template joins control tokens and user content into one text, and a user who writes `<|im_end|>` would end their
// own turn. So before the template runs, a guard character (one that occurs nowhere in the content) is put inside every special token
// in user content; the tokenizer then takes unbroken special tokens only and encodes everything else without the guard
// (wasm/tokens, `encode_guarded`). Pure.
// Cost: one search per prompt when no special token occurs, which is the rule.

const candidates = [0xe000, 0xf8ff, 0xfdd0, 0xfdef, 0x10_fffd];

export interface GuardedTexts {
  readonly texts: readonly string[];
  /** Pass it to `Tokenizer.encode`; undefined when nothing had to be broken up. */
  readonly guard: string | undefined;
}

/** Breaks up the special tokens in these pieces of user content. */
export function guardTexts(texts: readonly string[], specialTokens: readonly string[]): GuardedTexts {
  const specials = specialTokens.filter((token) => token.length > 0);
  const found = texts.some((text) => specials.some((token) => text.includes(token)));
  if (!found) return { texts, guard: undefined };
  const guard = absentCharacter(texts);
  return { texts: texts.map((text) => breakUp(text, specials, guard)), guard };
}

/** A private-use character that occurs in none of the texts. */
function absentCharacter(texts: readonly string[]): string {
  const absent = (code: number): boolean => !texts.some((text) => text.includes(String.fromCodePoint(code)));
  const known = candidates.find(absent);
  if (known !== undefined) return String.fromCodePoint(known);
  for (let code = 0xf_0000; code < 0x10_fffe; code += 1) {
    if (absent(code)) return String.fromCodePoint(code);
  }
  throw new Error('the texts contain every private-use character');
}

/** Puts the guard behind the first character of every occurrence, until none is left whole. */
function breakUp(text: string, specials: readonly string[], guard: string): string {
  let broken = text;
  for (const token of specials) {
    const head = String.fromCodePoint(token.codePointAt(0) ?? 0);
    // A token of one character cannot be broken up from inside: the guard in its place keeps it from being special.
    const replacement = head === token ? guard : head + guard + token.slice(head.length);
    broken = broken.replaceAll(token, replacement);
  }
  return broken;
}
