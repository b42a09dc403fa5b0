/**
 * GenerateRequest as bytes, written by hand: protobuf-es takes 7 µs and more for this one message, this takes about
 * one. Field numbers are those of worker.proto; a property test compares every field with protobuf-es.
 *
 * The bytes are written into one buffer per isolate, from front to back without a pause, and copied out once. A nested
 * message is moved when its length needs more than one byte, which few do.
 */
import type { Grammar, Sampling, StopConditions } from '../inference-request.ts';

export interface ResumeState {
  /** Packed LE u32. */
  tokenIds: Uint8Array;
  partialEvent: Uint8Array;
  events: number;
  /** Prompt tokens that the first worker found in its cache; null = unknown. */
  cachedTokens: number | null;
}

/** What the answer says in `nvext`. */
export interface NvextFields {
  /** Empty: not asked for. */
  workerId: string;
  dpRank: number;
  /** 0: not asked for. */
  requestReceivedMs: number;
  elapsedMs: number;
  /** Of a continued answer: who computed the prompt for the worker that began it; empty: itself, or nobody knows. */
  prefillWorkerId: string;
  prefillDpRank: number;
}

/** Who computes the prompt. */
export interface PrefillFields {
  /** Instance id, hex. */
  worker: string;
  grpcAddress: string;
  reservation: number;
  dpRank: number;
  /** Absent: the request's own. */
  routerBoot?: number;
}

export interface GenerateFields {
  requestId: string;
  model: string;
  /** Packed LE u32. */
  tokenIds: Uint8Array;
  /** Packed LE u64. */
  blockHashes: Uint8Array;
  /** undefined: the default. */
  hashSeed: bigint | undefined;
  reservation: number;
  routerBoot: number;
  sampling: Sampling;
  seed: bigint;
  stop: StopConditions;
  maxTokens: number;
  dialect: number;
  stream: boolean;
  includeUsage: boolean;
  responseId: string;
  /** Unix seconds. */
  created: number;
  echo: boolean;
  /** JSON; empty: none. */
  tools: string;
  oneToolCall: boolean;
  /** JSON; empty: none. */
  envelope: string;
  keep: boolean;
  grammar: Grammar | null;
  nvext: NvextFields | null;
  resume: ResumeState | null;
  priority: number;
  /** null: the worker itself. */
  prefill: PrefillFields | null;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const SPARE_BYTES = 512;

const encoder = new TextEncoder();
let buffer = new Uint8Array(16 * 1024);
let view = new DataView(buffer.buffer);
let at = 0;

export function encodeGenerateRequest(fields: GenerateFields): Uint8Array {
  reserve(sizeBound(fields));
  at = 0;
  writeString(1, fields.requestId);
  writeString(2, fields.model);
  writeBytes(3, fields.tokenIds);
  writeBytes(4, fields.blockHashes);
  writeUint(5, fields.reservation);
  writeUint(6, fields.routerBoot);
  writeMessage(7, () => writeSampling(fields.sampling, fields.seed));
  writeMessage(8, () => writeStop(fields.stop, fields.maxTokens));
  writeMessage(9, () => writeOutput(fields));
  if (fields.resume !== null) writeResume(fields.resume);
  if (fields.hashSeed !== undefined) writeFixed64(11, fields.hashSeed);
  if (fields.priority !== 0) writeUint(12, (fields.priority << 1) ^ (fields.priority >> 31));
  const { grammar, prefill } = fields;
  if (grammar !== null) writeMessage(13, () => writeGrammar(grammar));
  if (prefill !== null) writeMessage(14, () => writePrefill(prefill));
  return buffer.slice(0, at);
}

function writeSampling(sampling: Sampling, seed: bigint): void {
  writeFloat(1, sampling.temperature);
  writeFloat(2, sampling.topP);
  writeUint(3, sampling.topK);
  writeFloat(4, sampling.minP);
  writeFixed64(5, seed);
  writeFloat(6, sampling.presencePenalty);
  writeFloat(7, sampling.frequencyPenalty);
  writeFloat(8, sampling.repetitionPenalty);
  for (const [tokenId, bias] of sampling.logitBias) {
    writeMessage(9, () => {
      writeTag(1, VARINT);
      writeVarint(tokenId);
      writeTag(2, FIXED32);
      view.setFloat32(at, bias, true);
      at += 4;
    });
  }
  if (sampling.n !== 1) writeUint(10, sampling.n);
  if (sampling.topLogprobs !== null) {
    // Optional, so 0 is said.
    writeTag(11, VARINT);
    writeVarint(sampling.topLogprobs);
  }
}

function writeGrammar(grammar: Grammar): void {
  writeUint(1, grammar.kind);
  writeString(2, grammar.text);
  writeString(3, grammar.param ?? '');
}

function writePrefill(prefill: PrefillFields): void {
  writeString(1, prefill.worker);
  writeString(2, prefill.grpcAddress);
  writeUint(3, prefill.reservation);
  writeUint(4, prefill.dpRank);
  writeUint(5, prefill.routerBoot ?? 0);
}

function writeStop(stop: StopConditions, maxTokens: number): void {
  writeUint(1, maxTokens);
  writeUint(2, stop.minTokens);
  for (const text of stop.stop) writeString(3, text);
  if (stop.stopTokenIds.length > 0) {
    const ids = Uint32Array.from(stop.stopTokenIds);
    writeBytes(4, new Uint8Array(ids.buffer));
  }
  if (stop.ignoreEos) writeUint(5, 1);
}

function writeOutput(fields: GenerateFields): void {
  writeUint(1, fields.dialect);
  if (fields.stream) writeUint(2, 1);
  if (fields.includeUsage) writeUint(3, 1);
  writeString(4, fields.responseId);
  writeUint(5, fields.created);
  if (fields.echo) writeUint(6, 1);
  writeString(7, fields.tools);
  if (fields.oneToolCall) writeUint(8, 1);
  writeString(9, fields.envelope);
  if (fields.keep) writeUint(10, 1);
  const { nvext } = fields;
  if (nvext !== null) writeMessage(11, () => writeNvext(nvext));
}

function writeNvext(nvext: NvextFields): void {
  writeString(1, nvext.workerId);
  writeUint(2, nvext.dpRank);
  writeUint(3, nvext.requestReceivedMs);
  writeUint(4, nvext.elapsedMs);
  writeString(5, nvext.prefillWorkerId);
  writeUint(6, nvext.prefillDpRank);
}

function writeResume(resume: ResumeState): void {
  const { tokenIds, partialEvent, events, cachedTokens } = resume;
  // Its length is computed beforehand: token ids can be long, and moving them would copy them twice.
  let length = bytesSize(tokenIds) + bytesSize(partialEvent);
  if (events !== 0) length += 1 + varintSize(events);
  if (cachedTokens !== null) length += 1 + varintSize(cachedTokens);
  writeTag(10, BYTES);
  writeVarint(length);
  writeBytes(1, tokenIds);
  writeBytes(2, partialEvent);
  writeUint(3, events);
  if (cachedTokens !== null) {
    // Optional, so 0 is said.
    writeTag(4, VARINT);
    writeVarint(cachedTokens);
  }
}

/** Defaults (0, empty) are not written, as proto3 has it. */
function writeUint(field: number, value: number): void {
  if (value === 0) return;
  writeTag(field, VARINT);
  writeVarint(value);
}

function writeFixed64(field: number, value: bigint): void {
  if (value === 0n) return;
  writeTag(field, FIXED64);
  view.setBigUint64(at, value, true);
  at += 8;
}

function writeFloat(field: number, value: number): void {
  // -0 is not the default value.
  if (Object.is(value, 0)) return;
  writeTag(field, FIXED32);
  view.setFloat32(at, value, true);
  at += 4;
}

function writeString(field: number, text: string): void {
  if (text === '') return;
  writeTag(field, BYTES);
  // Room for the length is left before the bytes; most are shorter than 128 and need one byte.
  const lengthSize = varintSize(text.length * 3);
  const { written } = encoder.encodeInto(text, buffer.subarray(at + lengthSize));
  writePaddedVarint(written, lengthSize);
  at += written;
}

function writeBytes(field: number, bytes: Uint8Array): void {
  if (bytes.byteLength === 0) return;
  writeTag(field, BYTES);
  writeVarint(bytes.byteLength);
  buffer.set(bytes, at);
  at += bytes.byteLength;
}

/** A nested message; one byte is kept for its length, and the content moves when it needs more. */
function writeMessage(field: number, write: () => void): void {
  writeTag(field, BYTES);
  const start = at;
  at += 1;
  write();
  const length = at - start - 1;
  if (length < 0x80) {
    buffer[start] = length;
    return;
  }
  const lengthSize = varintSize(length);
  buffer.copyWithin(start + lengthSize, start + 1, at);
  at = start;
  writeVarint(length);
  at += length;
}

/** Field numbers here are below 16: one byte. */
function writeTag(field: number, wireType: number): void {
  buffer[at++] = (field << 3) | wireType;
}

/** Up to 2^53: the low 28 bits by shifts, the rest by division. */
function writeVarint(value: number): void {
  let rest = value < 0 ? value >>> 0 : value;
  while (rest >= 0x1000_0000) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
}

function writePaddedVarint(value: number, size: number): void {
  let rest = value;
  for (let byte = 1; byte < size; byte++) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function bytesSize(bytes: Uint8Array): number {
  const { byteLength } = bytes;
  return byteLength === 0 ? 0 : 1 + varintSize(byteLength) + byteLength;
}

/** More bytes than the message can have. */
function sizeBound(fields: GenerateFields): number {
  const { sampling, stop, resume, prefill, nvext } = fields;
  let bytes = SPARE_BYTES + fields.tokenIds.byteLength + fields.blockHashes.byteLength;
  bytes +=
    3 * (fields.requestId.length + fields.model.length + fields.responseId.length + fields.envelope.length);
  bytes +=
    3 * (fields.tools.length + ((fields.grammar?.text.length ?? 0) + (fields.grammar?.param?.length ?? 0)));
  bytes += sampling.logitBias.length * 16 + stop.stopTokenIds.length * 4;
  for (const text of stop.stop) bytes += text.length * 3 + 8;
  if (prefill !== null) bytes += 3 * (prefill.worker.length + prefill.grpcAddress.length);
  if (nvext !== null) bytes += 3 * (nvext.workerId.length + nvext.prefillWorkerId.length);
  return resume === null ? bytes : bytes + resume.tokenIds.byteLength + resume.partialEvent.byteLength;
}

function reserve(bytes: number): void {
  if (buffer.byteLength >= bytes) return;
  buffer = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
  view = new DataView(buffer.buffer);
}
