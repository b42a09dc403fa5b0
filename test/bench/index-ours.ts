/**
 * Our side of the index benchmark, one run in a process of its own: `node index-ours.ts BLOCKS WORKERS QUERIES`, one JSON
 * document on stdout; `limits` as a fourth argument adds the longest single operations. What is timed is what the router calls: hashes copied into wasm memory, the call, views of the answer.
 * The same calls run on a small index first, because V8 compiles wasm well only after a while; the peer is compiled already.
 */

import { RadixIndex, storeStatus } from '../../wasm/load/node/radix.ts';
import { Workload } from './index-workload.ts';

export interface OurRun {
  /** CPU time of the thread, a block. */
  store_ns: number;
  store_wall_ns: number;
  remove_ns: number;
  bytes_per_block: number;
  /** p50 of reading the clock, which each find's time includes. */
  clock_ns: number;
  /** p50 in ns and checksum by query length, before and after the removals. */
  find: Record<string, { p50_ns: number; checksum: number }>;
  after_removal: Record<string, number>;
  limits?: Limits;
}

/** The longest single operations, at full size. */
interface Limits {
  max_store_ms: number;
  clear: { blocks: number; max_op_ms: number; swept_after_ops: number };
  budget: { capacity_bytes: number; max_bytes: number; stored_blocks: number; max_op_ms: number };
}

const LENGTHS = [16, 64, 256];
/** Finds between two looks at the clock: a look costs about what a find does, and disturbs the next. */
const PER_CLOCK = 8;
const ROOMY_BYTES = 2 ** 30;
const BUDGET_BYTES = 16 * 2 ** 20;
const TIMES_OVER = 5;
const REPEATS = 3;
const now = () => performance.now();

/**
 * The longest of a row of operations. The same row runs several times, and an operation counts with its shortest time: what
 * is its own comes back each time, what the machine or the collector did does not.
 */
class Longest {
  readonly #times: number[] = [];
  #at = 0;

  again(): void {
    this.#at = 0;
  }

  time<T>(call: () => T): T {
    const start = now();
    const result = call();
    const ms = now() - start;
    const at = this.#at++;
    this.#times[at] = Math.min(ms, this.#times[at] ?? ms);
    return result;
  }

  get ms(): number {
    return Number(this.#times.reduce((longest, ms) => Math.max(longest, ms), 0).toFixed(3));
  }
}

function checksum(index: RadixIndex, queries: Uint8Array[], times?: Float64Array): number {
  let sum = 0;
  let read = 0;
  for (let first = 0; first + PER_CLOCK <= queries.length; first += PER_CLOCK) {
    // A router has just hashed the prompt: the peer reads it before the clock starts as well.
    for (let q = first; q < first + PER_CLOCK; q++) {
      const query = queries[q]!;
      for (let at = 0; at < query.length; at += 64) read ^= query[at]!;
    }
    const start = now();
    for (let q = first; q < first + PER_CLOCK; q++) index.find(queries[q]!);
    if (times) times[first / PER_CLOCK] = (now() - start) / PER_CLOCK;
    // The peer's p50 is the call alone as well: what it found is added up afterwards.
    for (let q = first; q < first + PER_CLOCK; q++) {
      const { count, pairs } = index.find(queries[q]!);
      for (let i = 0; i < count; i++) sum += (pairs[2 * i]! + 1) * pairs[2 * i + 1]!;
    }
  }
  return read < 256 ? sum : Number.NaN;
}

const median = (times: Float64Array): number => times.toSorted()[times.length >> 1]!;

function stored(index: RadixIndex, workload: Workload): Pick<OurRun, 'store_ns' | 'store_wall_ns'> {
  const events = workload.stores();
  globalThis.gc?.();
  const blocks = events.length * 16;
  const cpuStart = process.threadCpuUsage();
  const start = now();
  let accepted = 0;
  for (const event of events) accepted += index.store(event.slot, event) === storeStatus.invalid ? 0 : 1;
  const wallMs = now() - start;
  const { user, system } = process.threadCpuUsage(cpuStart);
  if (accepted !== events.length) throw new Error('a store was refused');
  return { store_ns: ((user + system) * 1e3) / blocks, store_wall_ns: (wallMs * 1e6) / blocks };
}

function removed(index: RadixIndex, workload: Workload): number {
  const events = workload.removes();
  globalThis.gc?.();
  const start = now();
  let missing = 0;
  for (const { slot, blockHashes } of events) missing += index.remove(slot, blockHashes);
  if (missing > 0) throw new Error(`${missing} blocks to remove were not there`);
  return ((now() - start) * 1e6) / (events.length * 16);
}

/** Fills an index, clears one worker and goes on storing until nothing of it is left in memory. */
function filled(workload: Workload, workers: number): Omit<Limits, 'budget'> {
  const [stores, clears] = [new Longest(), new Longest()];
  const further = Array.from({ length: 1024 }, () => unique(16));
  const events = workload.stores();
  let [blocks, ops] = [0, 0];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    using index = new RadixIndex({ capacityBytes: ROOMY_BYTES });
    stores.again();
    for (const event of events) stores.time(() => index.store(event.slot, event));
    clears.again();
    blocks = index.slotBlocks(0);
    clears.time(() => index.clear(0));
    ops = 0;
    for (let swept = false; !swept; ops++) {
      clears.time(() => index.store(1 % workers, further[ops % further.length]!));
      swept = !index.sweep();
    }
  }
  return { max_store_ms: stores.ms, clear: { blocks, max_op_ms: clears.ms, swept_after_ops: ops } };
}

/** Stores prompts that nobody has ever seen, many times what the budget holds. */
function endless(): Limits['budget'] {
  const longest = new Longest();
  const prompts = Array.from({ length: Math.ceil((TIMES_OVER * BUDGET_BYTES) / 36 / 128) }, () =>
    unique(128),
  );
  let maxBytes = 0;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    using index = new RadixIndex({ capacityBytes: BUDGET_BYTES });
    longest.again();
    for (const [i, prompt] of prompts.entries()) {
      longest.time(() => index.store(i % 8, prompt));
      maxBytes = Math.max(maxBytes, index.bytes);
    }
  }
  const stored = prompts.length * 128;
  return { capacity_bytes: BUDGET_BYTES, max_bytes: maxBytes, stored_blocks: stored, max_op_ms: longest.ms };
}

function unique(blocks: number) {
  const blockHashes = crypto.getRandomValues(new Uint8Array(blocks * 8));
  return { parentHash: null, blockHashes, tokensHashes: blockHashes };
}

function clock(samples: number): number {
  const times = new Float64Array(samples);
  for (let i = 0; i < samples; i++) {
    const start = now();
    times[i] = now() - start;
  }
  return (median(times) * 1e6) / PER_CLOCK;
}

function run(blocks: number, workers: number, queries: number, withLimits: boolean): OurRun {
  const workload = new Workload(blocks, workers);
  using index = new RadixIndex({ capacityBytes: ROOMY_BYTES });
  const store = stored(index, workload);
  const bytesPerBlock = index.bytes / index.blocks;
  const asked = LENGTHS.map((length) => [length, workload.queries(queries, length)] as const);
  globalThis.gc?.();
  const find = asked.map(([length, list]) => {
    const times = new Float64Array(list.length / PER_CLOCK);
    const sum = checksum(index, list, times);
    return [length, { p50_ns: Math.round(median(times) * 1e6), checksum: sum }] as const;
  });
  const removeNs = removed(index, workload);
  const after = asked.map(([length, list]) => [length, checksum(index, list)] as const);
  return {
    ...store,
    remove_ns: removeNs,
    bytes_per_block: bytesPerBlock,
    clock_ns: clock(queries),
    find: Object.fromEntries(find),
    after_removal: Object.fromEntries(after),
    ...(withLimits ? { limits: { ...filled(workload, workers), budget: endless() } } : {}),
  };
}

if (import.meta.main) {
  const [blocks, workers, queries] = process.argv.slice(2, 5).map(Number);
  run(100_000, workers!, queries!, false);
  console.log(JSON.stringify(run(blocks!, workers!, queries!, process.argv[5] === 'limits')));
}
