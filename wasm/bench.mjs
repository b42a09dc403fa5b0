// The fixed radix workload through wasm in Node: `node wasm/bench.mjs [BLOCKS=1000000] [WORKERS=8] [QUERIES=20000]` (Node 24).
//
// The same workload and checksums as `cargo run --release --example workload` (wasm/radix). The input of each call is copied
// into wasm memory as the router does it, so the figures contain the boundary. Also: tokenizer and in-flight sequences.

import { readFileSync } from 'node:fs';

import { ActiveSequences, RadixIndex } from './load/node/radix.ts';
import { Tokenizer } from './load/node/tokens.ts';

const [total = 1_000_000, workers = 8, queries = 20_000] = process.argv.slice(2).map(Number);
const mask = (1n << 64n) - 1n;

function mix(value) {
  let x = (value + 0x9e37_79b9_7f4a_7c15n) & mask;
  x = ((x ^ (x >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & mask;
  x = ((x ^ (x >> 27n)) * 0x94d0_49bb_1331_11ebn) & mask;
  return x ^ (x >> 31n);
}

const local = (kind, a, i) => mix(0x5354_4131n ^ (BigInt(kind) << 56n) ^ (BigInt(a) << 20n) ^ BigInt(i));
const sequences = Math.floor(total / 68);
const groups = Math.max(1, Math.floor(sequences / 16));

function locals(s) {
  const half = (kind, a) => Array.from({ length: 64 }, (_, i) => local(kind, a, i));
  return [...half(1, s % groups), ...half(2, s)];
}

function bytes(values) {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

function names(tokens) {
  let previous = 0n;
  return tokens.map((token) => (previous = mix((previous * 31n + token) & mask)));
}

function time(label, count, unit, work) {
  const start = process.hrtime.bigint();
  const extra = work();
  const ns = Number(process.hrtime.bigint() - start);
  console.log(`${label.padEnd(22)} ${(ns / count).toFixed(1).padStart(8)} ns ${unit}  ${extra ?? ''}`);
}

const events = [];
for (let s = 0; s < sequences; s += 1) {
  const tokens = locals(s);
  const name = bytes(names(tokens));
  events.push({ slot: Number(mix(BigInt(s) ^ 0xabcdn) % BigInt(workers)), name, tokens: bytes(tokens) });
}
const index = new RadixIndex({ capacityBytes: 2 ** 32 });
time('store', sequences * 128, 'a block', () => {
  for (const { slot, name, tokens } of events) {
    for (let at = 0; at < 1024; at += 128) {
      const parentHash = at === 0 ? null : name.subarray(at - 8, at);
      const event = {
        parentHash,
        blockHashes: name.subarray(at, at + 128),
        tokensHashes: tokens.subarray(at, at + 128),
      };
      index.store(slot, event);
    }
  }
  return `${index.blocks} blocks, ${(index.bytes / index.blocks).toFixed(1)} bytes a block`;
});

const cases = [
  ['full', 128, 16],
  ['full', 128, 64],
  ['full', 128, 128],
  ['full', 128, 256],
  ['prefix', 64, 128],
  ['prefix', 64, 256],
  ['miss', 0, 128],
];
for (const [kind, known, length] of cases) {
  const asked = Array.from({ length: queries }, (_, q) => {
    const base = locals(Number(mix(BigInt(q) ^ 0x5eedn) % BigInt(sequences)));
    return bytes(Array.from({ length }, (_, i) => (i < known ? base[i] : local(3, q, i))));
  });
  let checksum = 0;
  time(`find ${kind} ${length}`, queries, 'a call', () => {
    for (const query of asked) {
      const { count, pairs } = index.find(query);
      for (let i = 0; i < count; i += 1) checksum += (pairs[2 * i] + 1) * pairs[2 * i + 1];
    }
    return `checksum ${checksum}`;
  });
}

const active = new ActiveSequences();
time('add 128 blocks', 2000, 'a call', () => {
  for (let i = 0; i < 2000; i += 1) active.add(i, i % workers, events[i % events.length].tokens);
});
time('potential 128 blocks', 2000, 'a call', () => {
  for (let i = 0; i < 2000; i += 1) active.potential(events[(i * 7) % events.length].tokens);
});
time('end', 2000, 'a call', () => {
  for (let i = 0; i < 2000; i += 1) active.end(i);
});

let removed = 0;
const suffixes = events
  .filter((_, s) => s % 2 === 0)
  .map(({ slot, name }) => {
    const words = new BigUint64Array(name.buffer).slice(64).reverse();
    return { slot, suffix: new Uint8Array(words.buffer) };
  });
time('remove', suffixes.length * 64, 'a block', () => {
  for (const { slot, suffix } of suffixes) {
    for (let at = 0; at < 512; at += 128) removed += 16 - index.remove(slot, suffix.subarray(at, at + 128));
  }
  return `${removed} removed`;
});

const tokenizer = new Tokenizer(
  readFileSync(new URL('../test/fixtures/tokenizer.json', import.meta.url), 'utf8'),
);
const source = readFileSync(new URL('./radix.ts', import.meta.url), 'utf8');
const text = source
  .split(/(?<=\s)/)
  .sort(() => 0.5 - Math.random())
  .join('')
  .repeat(2);
const count = tokenizer.encode(text, { blockSize: 16 }).ids.length;
time('encode and hash', count * 20, 'a token', () => {
  for (let i = 0; i < 20; i += 1) tokenizer.encode(`${i} ${text}`, { blockSize: 16 });
});
time('encode, guarded', count * 20, 'a token', () => {
  for (let i = 0; i < 20; i += 1) tokenizer.encode(`${i} ${text}`, { blockSize: 16, guard: '\uf8ff' });
});
