/**
 * What `bench:router` asks and what its workers hold, from numbers alone, so that both ends of the wire make the same.
 *
 * Every worker holds a system prompt that all share and conversations of its own that continue it. A third of the prompts
 * is fresh, a third begins with the system prompt (every worker matches), a third continues a conversation.
 */

export const BLOCK_TOKENS = 16;
export const PROMPT_BLOCKS = 500;
const SYSTEM_BLOCKS = 32;
const CONVERSATIONS = 2;

export const MODEL = 'tiny';
export const PROMPT_KINDS = ['fresh', 'system prompt', 'conversation'] as const;

const SYSTEM = 1;
const FRESH = 1_000_000_007;

export const instanceOf = (worker: number): string => (worker + 1).toString(16).padStart(16, '0');

/** What a worker says of itself: room for any number of these prompts. */
export const registration = (worker: number) => ({
  instanceId: instanceOf(worker),
  card: { name: MODEL, contextLengthTokens: 131_072, kvCacheBlockSize: BLOCK_TOKENS },
  runtime: { engine: 'bench', totalKvBlocks: 10_000_000, kvEventPublishingEnabled: true },
});

/** `count` 64-bit hashes of a seed (xorshift32, two words each). */
function hashes(seed: number, count: number): Uint8Array {
  const words = new Uint32Array(2 * count);
  let x = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x >>> 0;
  }
  return new Uint8Array(words.buffer);
}

const conversationSeed = (worker: number, conversation: number) => 2 + worker * CONVERSATIONS + conversation;

/** The paths that a worker holds, from the root, `blocks` blocks in all. */
export function holdings(worker: number, blocks: number): Uint8Array[] {
  const own = Math.max(0, blocks - SYSTEM_BLOCKS) / CONVERSATIONS;
  return Array.from({ length: CONVERSATIONS }, (_, i) =>
    joined(hashes(SYSTEM, SYSTEM_BLOCKS), hashes(conversationSeed(worker, i), Math.round(own))),
  );
}

/** Prompt `i` of a fleet of `workers`; its kind is `PROMPT_KINDS[i % 3]`. */
export function prompt(i: number, workers: number): Uint8Array {
  const rest = (known: number) => hashes(FRESH + i, PROMPT_BLOCKS - known);
  if (i % 3 === 0) return rest(0);
  if (i % 3 === 1) return joined(hashes(SYSTEM, SYSTEM_BLOCKS), rest(SYSTEM_BLOCKS));
  const conversation = hashes(conversationSeed((i * 7) % workers, i % CONVERSATIONS), 300);
  return joined(hashes(SYSTEM, SYSTEM_BLOCKS), conversation, rest(SYSTEM_BLOCKS + 300));
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
