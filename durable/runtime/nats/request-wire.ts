/**
 * Requests by NATS, as platform and workers say them to each other. A request goes straight to one worker's subject, no
 * queue between; its answer comes as messages to the inbox that the request names, numbered from 0, so that a lost one is
 * seen: `u8 kind ‖ u32be number ‖ bytes`. The first is the head, the last is the end; a stream without it is incomplete.
 *
 * What the platform says of running requests goes to the worker's control subject, a line for each: `ack <id> <bytes>` (all
 * the bytes of the answer that its reader has taken; the next may follow), `cancel <id>`, `ping <id>`.
 *
 * Requests carry an HMAC with the fleet token, so the token itself never travels; answers are bound to the inbox's name.
 */

import { StatorError } from '../errors.ts';

export const generateSubject = (namespace: string, instance: string): string =>
  `stator.${namespace}.instance.${instance}.generate`;
export const controlSubject = (namespace: string, instance: string): string =>
  `stator.${namespace}.instance.${instance}.control`;

/** Headers of a request. */
export const REQUEST_HEADER = { id: 'stator-request', mac: 'stator-mac' } as const;

export const MESSAGE = { head: 0, body: 1, end: 2, cut: 3, alive: 4 } as const;
export type MessageKind = (typeof MESSAGE)[keyof typeof MESSAGE];
const KINDS = Object.keys(MESSAGE).length;
const HEADER_BYTES = 5;

export interface AnswerMessage {
  kind: MessageKind;
  number: number;
  bytes: Uint8Array;
}

export function encodeMessage(kind: MessageKind, number: number, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_BYTES + bytes.length);
  message[0] = kind;
  new DataView(message.buffer).setUint32(1, number);
  message.set(bytes, HEADER_BYTES);
  return message;
}

/** `bytes` is a view. Throws `invalid_frame`. */
export function decodeMessage(message: Uint8Array): AnswerMessage {
  const kind = message[0];
  if (message.length < HEADER_BYTES || kind === undefined || kind >= KINDS) {
    throw new StatorError('invalid_frame', 'a message that is no part of an answer');
  }
  const number = new DataView(message.buffer, message.byteOffset).getUint32(1);
  return { kind: kind as MessageKind, number, bytes: message.subarray(HEADER_BYTES) };
}

/** Status and headers of an answer. */
export interface AnswerHead {
  status: number;
  headers: [string, string][];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const encodeHead = (head: AnswerHead): Uint8Array => encoder.encode(JSON.stringify(head));

/** Throws `invalid_frame`. */
export function decodeHead(bytes: Uint8Array): AnswerHead {
  try {
    const { headers, status } = JSON.parse(decoder.decode(bytes)) as AnswerHead;
    if (Number.isInteger(status) && Array.isArray(headers)) return { status, headers };
  } catch {
    // Said below.
  }
  throw new StatorError('invalid_frame', 'a head that cannot be read');
}

export type Control =
  | { kind: 'ack'; id: string; bytes: number }
  | { kind: 'cancel'; id: string }
  | { kind: 'ping'; id: string };

export const encodeControls = (controls: readonly Control[]): Uint8Array =>
  encoder.encode(
    controls
      .map((control) => `${control.kind} ${control.id}${control.kind === 'ack' ? ` ${control.bytes}` : ''}`)
      .join('\n'),
  );

/** Lines that say nothing known are left out. */
export function decodeControls(message: Uint8Array): Control[] {
  return decoder
    .decode(message)
    .split('\n')
    .flatMap((line): Control[] => {
      const [kind, id, bytes] = line.split(' ');
      if (id === undefined) return [];
      if (kind === 'cancel' || kind === 'ping') return [{ kind, id }];
      return kind === 'ack' && Number.isSafeInteger(Number(bytes))
        ? [{ kind, id, bytes: Number(bytes) }]
        : [];
    });
}

/** What the HMAC is over. */
export function signedBytes(id: string, inbox: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const names = encoder.encode(`${id}\n${inbox}\n`);
  const signed = new Uint8Array(names.length + body.length);
  signed.set(names);
  signed.set(body, names.length);
  return signed;
}
