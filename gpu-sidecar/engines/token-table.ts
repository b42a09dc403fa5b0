/**
 * The token table of a Hugging Face tokenizer.json: every token's bytes and whether it is a control token.
 * Byte-level tokens are written in GPT-2's alphabet, where every byte is a visible character; SentencePiece's have ▁ for
 * a space and <0xNN> for a lone byte. Bytes are decoded when they are first asked for.
 */

import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { Vocabulary } from './engine.ts';

const FILE = z.object({
  added_tokens: z
    .array(z.object({ id: z.int().min(0), content: z.string(), special: z.boolean() }))
    .default([]),
  decoder: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: z.object({
    vocab: z.union([z.record(z.string(), z.int().min(0)), z.array(z.tuple([z.string()], z.unknown()))]),
  }),
});

const MOST_TOKENS = 4_194_304;

export interface TokenTable extends Vocabulary {
  /** Id of a token by its written form. */
  idOf(content: string): number | null;
  /** Names of the control tokens. */
  readonly controlTokens: readonly string[];
}

/** Throws StatorError `invalid_request` naming the file. */
export function readTokenTable(
  bytes: Uint8Array,
  options: { path: string; eosTokens: readonly string[] },
): TokenTable {
  const file = parse(bytes, options.path);
  const { vocab } = file.model;
  const entries: [string, number][] = Array.isArray(vocab)
    ? vocab.map(([piece], id) => [piece, id])
    : Object.entries(vocab);
  const pieces: string[] = [];
  const ids = new Map<string, number>();
  const raw = new Set<number>();
  const control = new Set<number>();
  const put = (piece: string, id: number): void => {
    if (id >= MOST_TOKENS) throw broken(options.path, `has a token id of ${id}`);
    pieces[id] = piece;
    ids.set(piece, id);
  };
  for (const [piece, id] of entries) put(piece, id);
  for (const { id, content, special } of file.added_tokens) {
    put(content, id);
    raw.add(id);
    if (special) control.add(id);
  }
  const decode = isByteLevel(file) ? byteLevelBytes : sentencePieceBytes;
  const ends = new Set(options.eosTokens.map((token) => ids.get(token)));
  const cache: (Uint8Array | undefined)[] = [];
  const bytesOf = (id: number): Uint8Array => {
    const piece = pieces[id];
    if (piece === undefined || control.has(id)) return EMPTY;
    return raw.has(id) ? UTF8.encode(piece) : decode(piece);
  };
  return {
    size: pieces.length,
    tokenBytes: (id) => (cache[id] ??= bytesOf(id)),
    isControl: (id) => control.has(id),
    isEndOfGeneration: (id) => ends.has(id),
    idOf: (content) => ids.get(content) ?? null,
    controlTokens: [...control].map((id) => pieces[id]!),
  };
}

const EMPTY = new Uint8Array(0);
const UTF8 = new TextEncoder();

function parse(bytes: Uint8Array, path: string): z.output<typeof FILE> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch (cause) {
    throw broken(path, 'is no JSON', cause);
  }
  const parsed = FILE.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw broken(path, `is no tokenizer.json (${issue?.path.join('.')}: ${issue?.message})`);
}

function broken(path: string, what: string, cause?: unknown): StatorError {
  return new StatorError('invalid_request', `${path} ${what}`, { param: 'tokenizer', cause });
}

/** A decoder or pre-tokenizer of type ByteLevel, alone or in a sequence. */
function isByteLevel(file: { decoder: unknown; pre_tokenizer: unknown }): boolean {
  return JSON.stringify([file.decoder ?? null, file.pre_tokenizer ?? null]).includes('"type":"ByteLevel"');
}

/** GPT-2's alphabet: printable Latin-1 stands for itself, the other bytes for U+0100 and up, in order. */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const visible = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    map.set(String.fromCodePoint(visible ? byte : next++), byte);
  }
  return map;
})();

function byteLevelBytes(piece: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = BYTE_OF_CHARACTER.get(character);
    if (byte === undefined) bytes.push(...UTF8.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function sentencePieceBytes(piece: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
  return byte ? Uint8Array.of(Number.parseInt(byte[1]!, 16)) : UTF8.encode(piece.replaceAll('▁', ' '));
}
