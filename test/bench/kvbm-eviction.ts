/**
 * `npm run bench:kvbm`: how many prompt blocks of the traces each eviction policy finds, at several capacities.
 *
 * *Alone*: one pool of that many blocks. *Behind G1*: the pool is a host tier that gets every block of a G1 of a quarter of its
 * size (LRU, as engines have) and is asked for what G1 lacks; the rate is that of both. Belady's rule, which knows the
 * future, bounds the first. A block is 512 tokens of the traces. Time: of the pool's bookkeeping, per block that was asked for.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readTrace } from '../../cli/replay/trace.ts';
import type { BlockIdentity } from '../../gpu-sidecar/kvbm/block.ts';
import { BlockPool } from '../../gpu-sidecar/kvbm/block-pool.ts';
import type { EvictionPolicy } from '../../gpu-sidecar/kvbm/eviction/eviction-policy.ts';
import { EVICTION_POLICIES } from '../../gpu-sidecar/kvbm/eviction/registry.ts';
import { beladyHits } from './kvbm-belady.ts';
import { versions } from './versions.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    capacities: { type: 'string', default: '1000,3000,10000,30000,100000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `npm run bench:kvbm -- [options]
  --json            one JSON document on stdout instead of tables
  --capacities LIST blocks of the pool [1000,3000,10000,30000,100000]`;

const TRACES = ['conversation_trace', 'synthetic_trace'] as const;
const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'traces');
const G1_SHARE = 4;

type Policies = Readonly<Record<string, (slots: number) => EvictionPolicy>>;
const POLICIES: Policies = EVICTION_POLICIES;

/** The prompts of a trace as complete blocks, which are what a cache has; equal ids in equal places are equal blocks. */
function prompts(name: string): BlockIdentity[][] {
  const { requests, blockTokens } = readTrace(join(FIXTURES, `${name}.jsonl`));
  return requests.map(({ hashIds, inputTokens }) =>
    hashIds.slice(0, Math.floor(inputTokens / blockTokens)).map((id, position) => ({
      hash: BigInt(id),
      parent: position === 0 ? null : BigInt(hashIds[position - 1]!),
      tokensHash: BigInt(id),
      position,
    })),
  );
}

/** Stores what is missing of a prompt and lets go of all of it, last first. */
function keep(pool: BlockPool, blocks: readonly BlockIdentity[], found: Disposable[]): void {
  const holds = found;
  for (const identity of blocks.slice(found.length)) {
    const slot = pool.allocate();
    if (slot === null) break;
    holds.push(slot.complete({ identity, checksum: 0n }).register());
  }
  for (const hold of holds.reverse()) hold[Symbol.dispose]();
}

const poolOf = (policy: EvictionPolicy, capacityBlocks: number) =>
  new BlockPool({ capacityBlocks, eviction: policy });

function alone(requests: readonly BlockIdentity[][], policy: string, capacity: number) {
  const pool = poolOf(POLICIES[policy]!(capacity), capacity);
  let hits = 0;
  const from = performance.now();
  for (const blocks of requests) {
    const found = pool.match(blocks.map(({ hash }) => hash));
    hits += found.length;
    keep(pool, blocks, found);
  }
  return { hits, ms: performance.now() - from };
}

function behindDevice(requests: readonly BlockIdentity[][], policy: string, capacity: number): number {
  const deviceBlocks = Math.floor(capacity / G1_SHARE);
  const device = poolOf(POLICIES['lru']!(deviceBlocks), deviceBlocks);
  const host = poolOf(POLICIES[policy]!(capacity), capacity);
  let hits = 0;
  for (const blocks of requests) {
    const hashes = blocks.map(({ hash }) => hash);
    const found = device.match(hashes);
    const below = host.match(hashes.slice(found.length));
    hits += found.length + below.length;
    for (const hold of below.reverse()) hold[Symbol.dispose]();
    // A block that the host has already is touched by the offload that finds it there.
    keep(host, blocks, host.match(hashes));
    keep(device, blocks, found);
  }
  return hits;
}

function measure(name: string) {
  const requests = prompts(name);
  const blocks = requests.reduce((sum, request) => sum + request.length, 0);
  const share = (hits: number) => Number(((100 * hits) / blocks).toFixed(2));
  const rows = args.capacities.split(',').map((text) => {
    const capacity = Number(text);
    const policies = Object.fromEntries(
      Object.keys(POLICIES).map((policy) => {
        process.stderr.write(`${name} ${capacity} ${policy}\n`);
        const { hits, ms } = alone(requests, policy, capacity);
        return [
          policy,
          {
            alone_percent: share(hits),
            behind_g1_percent: share(behindDevice(requests, policy, capacity)),
            us_per_block: Number(((1000 * ms) / blocks).toFixed(2)),
          },
        ];
      }),
    );
    return { capacity, belady_percent: share(beladyHits(requests, capacity)), policies };
  });
  return { requests: requests.length, blocks, rows };
}

function main(): void {
  const traces = Object.fromEntries(TRACES.map((name) => [name, measure(name)]));
  if (args.json) {
    console.log(JSON.stringify({ versions: versions(), traces }, null, 2));
    return;
  }
  for (const [name, { rows }] of Object.entries(traces)) {
    for (const kind of ['alone_percent', 'behind_g1_percent', 'us_per_block'] as const) {
      console.log(`${name}: ${kind}`);
      console.table(
        rows.map(({ capacity, belady_percent, policies }) => ({
          capacity,
          ...Object.fromEntries(Object.entries(policies).map(([policy, row]) => [policy, row[kind]])),
          ...(kind === 'alone_percent' ? { belady: belady_percent } : {}),
        })),
      );
    }
  }
}

if (args.help) console.log(HELP);
else main();
