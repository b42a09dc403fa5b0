/** A tokenizer of single bytes, a few merges and ChatML's control tokens, as GGUF facts: enough for a mock's vocabulary. */

import { type GgufTokenizer, TOKEN_TYPE } from '../../gpu-sidecar/models/gguf/metadata.ts';

const CONTROL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const MERGES = ['t h', 'th e', 'Ġ the', 'i n', 'a n', 'an d', 'Ġ and', 'e r', 'Ġ w', 'o u'];

/** GPT-2's visible character of every byte. */
function alphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCodePoint(visible ? byte : next++);
  });
}

export function byteTokenizer(): GgufTokenizer {
  const tokens = [...CONTROL, ...alphabet(), ...MERGES.map((merge) => merge.replace(' ', ''))];
  return {
    model: 'gpt2',
    pre: 'smollm',
    tokens,
    tokenTypes: tokens.map((token) => (CONTROL.includes(token) ? TOKEN_TYPE.control : TOKEN_TYPE.normal)),
    merges: MERGES,
    bosId: 1,
    eosId: 2,
    eotId: null,
    addBos: false,
  };
}
