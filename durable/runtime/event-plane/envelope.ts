/**
 * What NVIDIA Dynamo's event plane carries (semantics §4.5): an envelope in MessagePack with named fields, who published it,
 * its number there, when, on which topic, and the event's own bytes. On NATS a message is the envelope; on ZMQ it stands in a
 * frame, `u8 version = 1 ‖ u32be length ‖ envelope`. Readers take both, because no envelope begins with the byte 1.
 * Throws StatorError `invalid_frame`.
 */

import { Decoder, Encoder } from '@msgpack/msgpack';
import { StatorError } from '../errors.ts';

export interface EventEnvelope {
  /** 64 bit. */
  publisherId: bigint;
  /** Of this publisher and topic, from 0 up by 1. */
  sequence: number;
  /** Unix milliseconds. */
  publishedMs: number;
  topic: string;
  payload: Uint8Array;
}

const FRAME_VERSION = 1;
const FRAME_HEADER_BYTES = 5;

// 64-bit numbers are bigints both ways; smaller ones come as numbers.
const encoder = new Encoder({ useBigInt64: true });
const decoder = new Decoder({ useBigInt64: true });

/** MessagePack of a value whose 64-bit numbers are bigints. */
export const packEvent = (value: unknown): Uint8Array => encoder.encode(value);

export function unpackEvent(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid('what is not MessagePack', cause);
  }
}

export function encodeEnvelope({
  publisherId,
  sequence,
  publishedMs,
  topic,
  payload,
}: EventEnvelope): Uint8Array {
  return packEvent({
    topic,
    publisher_id: publisherId,
    sequence: BigInt(sequence),
    published_at: BigInt(Math.floor(publishedMs)),
    payload,
  });
}

export function frameEnvelope(envelope: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + envelope.length);
  frame[0] = FRAME_VERSION;
  new DataView(frame.buffer).setUint32(1, envelope.length);
  frame.set(envelope, FRAME_HEADER_BYTES);
  return frame;
}

/** Of a message, framed or not. Unknown fields are ignored. */
export function decodeEnvelope(message: Uint8Array): EventEnvelope {
  const fields = unpackEvent(isMap(message[0]) ? message : unframed(message));
  if (!isRecord(fields)) throw invalid('an envelope that is no map');
  const { publisher_id, sequence, published_at, topic, payload } = fields;
  if (typeof topic !== 'string') throw invalid('an envelope without a topic');
  return {
    topic,
    publisherId: wholeNumber('publisher_id', publisher_id),
    sequence: Number(wholeNumber('sequence', sequence)),
    publishedMs: Number(wholeNumber('published_at', published_at ?? 0)),
    payload: bytes(payload),
  };
}

/** First byte of a map in MessagePack. */
const isMap = (first: number | undefined) =>
  first !== undefined && ((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf);

function unframed(message: Uint8Array): Uint8Array {
  if (message.length < FRAME_HEADER_BYTES) throw invalid(`a frame of ${message.length} bytes`);
  if (message[0] !== FRAME_VERSION) {
    throw invalid(`a frame of version ${message[0]}; this reader knows version ${FRAME_VERSION}`);
  }
  const length = new DataView(message.buffer, message.byteOffset).getUint32(1);
  if (length !== message.length - FRAME_HEADER_BYTES) throw invalid('a frame of another length than it says');
  return message.subarray(FRAME_HEADER_BYTES);
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

/** Non-negative. */
export function wholeNumber(field: string, value: unknown): bigint {
  if (typeof value === 'bigint' && value >= 0n) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw invalid(`${field}, which is no whole number`);
}

/** Rust writes bytes as such or as a list of numbers. */
function bytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value) && value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256))
    return Uint8Array.from(value as number[]);
  throw invalid('an envelope without payload bytes');
}

const invalid = (what: string, cause?: unknown) =>
  new StatorError('invalid_frame', `the event plane brought ${what}`, { cause });
