/**
 * A GGUF file's byte-level BPE tokenizer as Hugging Face's tokenizer.json, so that functions tokenise in wasm.
 *
 * Only pre-tokenizers whose regular expressions are known are converted; the caller compares the result with
 * llama.cpp's own tokenizer on samples and falls back to tokenising in the sidecar. No normalizer: llama.cpp has none.
 */

import { type GgufTokenizer, TOKEN_TYPE } from './metadata.ts';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
const GPT2 = { ...BYTE_LEVEL, use_regex: true };
const SINGLE_DIGITS = { type: 'Digits', individual_digits: true };

/** llama.cpp, src/llama-vocab.cpp: the regular expressions of each `tokenizer.ggml.pre`. */
const SPLIT_REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const SPLIT_WORDS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
const splitBy = (digits: string): object => ({
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: { Regex: `${SPLIT_WORDS}|${digits}|${SPLIT_REST}` },
      behavior: 'Isolated',
      invert: false,
    },
    { ...BYTE_LEVEL, use_regex: false },
  ],
});
const GPT2_SINGLE_DIGITS = { type: 'Sequence', pretokenizers: [SINGLE_DIGITS, GPT2] };
const LLAMA3 = { split: splitBy('\\p{N}{1,3}'), ignoreMerges: true };
const QWEN2 = { split: splitBy('\\p{N}'), ignoreMerges: false };

const PRE: Readonly<Record<string, { split: object; ignoreMerges: boolean }>> = {
  'gpt-2': { split: GPT2, ignoreMerges: false },
  'phi-2': { split: GPT2, ignoreMerges: false },
  smollm: { split: GPT2_SINGLE_DIGITS, ignoreMerges: false },
  starcoder: { split: GPT2_SINGLE_DIGITS, ignoreMerges: false },
  refact: { split: GPT2_SINGLE_DIGITS, ignoreMerges: false },
  'command-r': { split: GPT2_SINGLE_DIGITS, ignoreMerges: false },
  'llama-bpe': LLAMA3,
  'llama-v3': LLAMA3,
  llama3: LLAMA3,
  qwen2: QWEN2,
  'deepseek-r1-qwen': QWEN2,
  stablelm2: QWEN2,
};

/** The file's bytes, or null when this tokenizer has no known Hugging Face form. Equal input, equal bytes. */
export function tokenizerJson(tokenizer: GgufTokenizer): Uint8Array | null {
  const pre = PRE[tokenizer.pre];
  if (tokenizer.model !== 'gpt2' || pre === undefined || tokenizer.merges.length === 0) return null;
  const vocab: Record<string, number> = Object.create(null);
  tokenizer.tokens.forEach((token, id) => {
    vocab[token] = id;
  });
  if (Object.keys(vocab).length !== tokenizer.tokens.length) return null;
  const document = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokenizer),
    normalizer: null,
    pre_tokenizer: pre.split,
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre.ignoreMerges,
      vocab,
      merges: tokenizer.merges.map((merge) => merge.split(' ')),
    },
  };
  return new TextEncoder().encode(JSON.stringify(document));
}

function addedTokens(tokenizer: GgufTokenizer): object[] {
  const added: object[] = [];
  tokenizer.tokenTypes.forEach((type, id) => {
    if (type !== TOKEN_TYPE.control && type !== TOKEN_TYPE.userDefined) return;
    const special = type === TOKEN_TYPE.control;
    const content = tokenizer.tokens[id]!;
    added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special });
  });
  return added;
}
