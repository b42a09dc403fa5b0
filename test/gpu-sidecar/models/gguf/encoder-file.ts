/** A whole encoder (BERT) of one small layer with arbitrary weights: enough for llama.cpp to embed with it. */

import { type Field, GgufBytes } from './gguf-bytes.ts';

const WIDTH = 32;
const INNER = 64;
const CONTEXT = 64;
const F32 = 0;
const ALIGNMENT = 32;

/** Word pieces as llama.cpp has them: words begin with `▁`. */
const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '▁the', '▁router', '▁cat', '▁sleeps', '▁routes', 's'];

const FIELDS: Record<string, Field> = {
  'general.architecture': ['string', 'bert'],
  'general.name': ['string', 'small-encoder'],
  'bert.context_length': ['u32', CONTEXT],
  'bert.embedding_length': ['u32', WIDTH],
  'bert.feed_forward_length': ['u32', INNER],
  'bert.block_count': ['u32', 1],
  'bert.attention.head_count': ['u32', 2],
  'bert.attention.layer_norm_epsilon': ['f32', 1e-6],
  'bert.attention.causal': ['bool', false],
  'bert.pooling_type': ['u32', 1],
  'tokenizer.ggml.model': ['string', 'bert'],
  'tokenizer.ggml.tokens': ['strings', WORDS],
  'tokenizer.ggml.token_type': ['i32s', WORDS.map((_, id) => (id < 4 ? 3 : 1))],
  'tokenizer.ggml.token_type_count': ['u32', 2],
  'tokenizer.ggml.padding_token_id': ['u32', 0],
  'tokenizer.ggml.unknown_token_id': ['u32', 1],
  'tokenizer.ggml.bos_token_id': ['u32', 2],
  'tokenizer.ggml.cls_token_id': ['u32', 2],
  'tokenizer.ggml.seperator_token_id': ['u32', 3],
};

const norm = (name: string): [string, number[]][] => [
  [`${name}.weight`, [WIDTH]],
  [`${name}.bias`, [WIDTH]],
];
const linear = (name: string, from: number, to: number): [string, number[]][] => [
  [`${name}.weight`, [from, to]],
  [`${name}.bias`, [to]],
];

const TENSORS: [string, number[]][] = [
  ['token_embd.weight', [WIDTH, WORDS.length]],
  ['token_types.weight', [WIDTH, 2]],
  ['position_embd.weight', [WIDTH, CONTEXT]],
  ...norm('token_embd_norm'),
  ...linear('blk.0.attn_q', WIDTH, WIDTH),
  ...linear('blk.0.attn_k', WIDTH, WIDTH),
  ...linear('blk.0.attn_v', WIDTH, WIDTH),
  ...linear('blk.0.attn_output', WIDTH, WIDTH),
  ...norm('blk.0.attn_output_norm'),
  ...linear('blk.0.ffn_up', WIDTH, INNER),
  ...linear('blk.0.ffn_down', INNER, WIDTH),
  ...norm('blk.0.layer_output_norm'),
];

export function encoderFile(): Uint8Array {
  const fields = Object.entries(FIELDS);
  const bytes = new GgufBytes().u32(0x46554747).u32(3).u64(TENSORS.length).u64(fields.length);
  for (const [key, field] of fields) bytes.field(key, field);
  let offset = 0;
  for (const [name, shape] of TENSORS) {
    bytes.text(name).u32(shape.length);
    for (const size of shape) bytes.u64(size);
    bytes.u32(F32).u64(offset);
    offset += Math.ceil((4 * product(shape)) / ALIGNMENT) * ALIGNMENT;
  }
  bytes.pad(ALIGNMENT);
  for (const [name, shape] of TENSORS) bytes.f32s(weights(name, product(shape))).pad(ALIGNMENT);
  return bytes.done();
}

const product = (shape: readonly number[]) => shape.reduce((all, size) => all * size, 1);

/** Norms let everything through; the rest looks random. */
function weights(name: string, count: number): number[] {
  if (/norm\.weight$/.test(name)) return Array(count).fill(1);
  return Array.from(
    { length: count },
    (_, at) => ((Math.sin(at * 12.9898 + name.length) * 43_758.5453) % 1) * 0.3,
  );
}
