// What fresh 8k-token prompts (500 blocks) cost the indexes, 10th percentile and median of many batches:
// `node wasm/bench-fresh.mjs [BLOCKS=100000] [ROUNDS=2000]`.
//
// The index stands at BLOCKS blocks and churns like a router before full caches: each round stores one path of 500 blocks
// that nobody has, 200 finds of known paths follow every 25 rounds, then the oldest paths go, deepest block first as
// engines evict. The in-flight sequences add and end prompts of 500, 2 and 1 blocks with 64 in flight. Figures contain the boundary.

import { ActiveSequences, RadixIndex } from './load/node/radix.ts';

const [total = 100_000, rounds = 2000] = process.argv.slice(2).map(Number);
const path = 500;
const slots = 8;

/** ns a unit in each batch, by label. */
const batches = new Map();
function timed(label, count, work) {
  const start = process.hrtime.bigint();
  work();
  const ns = Number(process.hrtime.bigint() - start) / count;
  const known = batches.get(label);
  if (known === undefined) batches.set(label, [ns]);
  else known.push(ns);
}

function report() {
  for (const [label, figures] of batches) {
    figures.sort((a, b) => a - b);
    const at = (share) => figures[Math.floor(share * figures.length)].toFixed(1).padStart(9);
    console.log(`${label.padEnd(28)} ${at(0.1)} ${at(0.5)} ns`);
  }
  batches.clear();
}

function fresh(blocks = path) {
  const names = crypto.getRandomValues(new Uint8Array(blocks * 8));
  const tokens = crypto.getRandomValues(new Uint8Array(blocks * 8));
  const reversed = new Uint8Array(new BigUint64Array(names.buffer).toReversed().buffer);
  return { names, tokens, reversed };
}

const index = new RadixIndex({ capacityBytes: 512 * 2 ** 20 });
const held = [];
const put = ({ slot, names, tokens }) => index.store(slot, { blockHashes: names, tokensHashes: tokens });
for (let i = 0; i < total / path; i += 1) {
  const entry = { slot: i % slots, ...fresh() };
  timed('store, growing, a block', path, () => put(entry));
  held.push(entry);
}
report();
let checksum = 0;
for (let done = 0; done < rounds; done += 25) {
  const entries = Array.from({ length: 25 }, (_, i) => ({ slot: i % slots, ...fresh() }));
  timed('store, a block', 25 * path, () => {
    for (const entry of entries) checksum += put(entry);
  });
  held.push(...entries);
  for (const blocks of [16, 64, 256]) {
    const asked = Array.from({ length: 200 }, () =>
      held[Math.floor(Math.random() * held.length)].tokens.subarray(0, blocks * 8),
    );
    timed(`find ${blocks}`, 200, () => {
      for (const query of asked) checksum += index.find(query).count;
    });
  }
  const oldest = held.splice(0, 25);
  timed('remove, a block', 25 * path, () => {
    for (const { slot, reversed } of oldest) checksum += index.remove(slot, reversed);
  });
}
report();
console.log(`checksum ${checksum - (rounds / 25) * 600}, ${index.blocks} blocks, ${index.bytes} bytes`);

const active = new ActiveSequences();
for (const blocks of [500, 2, 1]) {
  const prompts = Array.from({ length: 4096 }, () => fresh(blocks).tokens);
  for (let i = 0; i < 64; i += 1) active.add(i, i % slots, prompts[i]);
  for (let start = 64; start < 40_000; start += 400) {
    timed(`add and end ${blocks} blocks`, 400, () => {
      for (let i = start; i < start + 400; i += 1) {
        active.add(i, i % slots, prompts[i & 4095]);
        active.end(i - 64);
      }
    });
    const last = start + 399;
    timed(`potential ${blocks} blocks, met`, 400, () => {
      for (let i = 0; i < 400; i += 1) checksum += active.potential(prompts[(last - (i & 63)) & 4095]).count;
    });
    timed(`potential ${blocks} blocks, fresh`, 400, () => {
      for (let i = 0; i < 400; i += 1) checksum += active.potential(prompts[(last + 1 + i) & 4095]).count;
    });
  }
  for (let slot = 0; slot < slots; slot += 1) active.dropSlot(slot);
  report();
}
