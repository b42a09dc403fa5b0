/** What a backend says of itself or of a window: JSON of its own shape, checked where it arrives. */

import type * as z from 'zod';
import { TransferFault } from './fault.ts';

export const writeOpaque = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** Throws `protocol`. */
export function readOpaque<S extends z.ZodType>(schema: S, bytes: Uint8Array): z.output<S> {
  try {
    const parsed = schema.safeParse(
      JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)),
    );
    if (parsed.success) return parsed.data;
    throw new TransferFault('protocol', parsed.error.issues[0]?.message);
  } catch (thrown) {
    if (thrown instanceof TransferFault) throw thrown;
    throw new TransferFault('protocol', 'a description that is no JSON', thrown);
  }
}
