/**
 * KV memory of one engine: finds its blocks again in host memory (G2), on disk (G3) and in an object store (G4), and moves
 * them there while they are in its own cache (G1). What an engine does with it:
 *
 *   stored(blocks)  removed(blocks)        its own cache has them, or no more; the manager copies them by `DevicePort`
 *   match(blocks)                          how many of these, from the first on, would not have to be computed
 *   using got = await onboard(blocks)      their bytes in host memory, as many as there are without a gap
 *
 * What other workers do with it, through `transfer`:
 *
 *   using block = hold(hash)  await whenHeld(block, signal)    a block in host memory, to be read
 *   using block = receive(block)                               a slot to be filled with one
 *
 * Whatever goes wrong below, `onboard` returns fewer blocks and never wrong bytes: every block that comes from disk or object
 * store is compared with its checksum. Lower tiers are optional; without a size for G2 a small one serves the transfers.
 */

import type { BlockIdentity } from './block.ts';
import type { BlockHold, BlockPool } from './block-pool.ts';
import type { KvbmMetrics, TierName } from './kvbm-metrics.ts';
import type { BlockLayout } from './layout.ts';
import { Offloader, type OffloaderOptions } from './offload/offloader.ts';
import { Fetcher } from './onboard/fetcher.ts';
import { Onboarding } from './onboard/onboarding.ts';
import { AwaitedBlocks } from './peer/awaited-blocks.ts';
import { ReceivingBlock } from './peer/receiving-block.ts';
import { ServedBlock } from './peer/served-block.ts';
import type { BlockListener, KvTier, Residency } from './residency.ts';
import type { HostArena } from './tiers/host-arena.ts';
import type { HostTier } from './tiers/host-tier.ts';
import type { LowerTier } from './tiers/lower-tier.ts';

export interface ManagerParts extends Omit<OffloaderOptions, 'onDevice' | 'missed'> {
  layout: BlockLayout;
  residency: Residency;
  /** Ask the object store for blocks that only other workers have put there. */
  lookUpShared: boolean;
}

/** How many blocks a match found in which tier. */
export interface TierMatch {
  blocks: number;
  host: number;
  disk: number;
  object: number;
}

export interface TierStatus {
  tier: TierName;
  capacityBlocks: number;
  registeredBlocks: number;
  inactiveBlocks: number;
  evictions: number;
  degraded: boolean;
}

export class KvBlockManager implements AsyncDisposable {
  /** Of all blocks here. */
  readonly layout: BlockLayout;
  /** The bytes of all blocks of host memory, for who moves them between processes. */
  readonly arena: HostArena;
  readonly #host: HostTier;
  readonly #lower: readonly LowerTier[];
  readonly #residency: Residency;
  readonly #offloader: Offloader;
  readonly #fetcher: Fetcher;
  readonly #metrics: KvbmMetrics;
  readonly #lookUpShared: boolean;
  readonly #awaited: AwaitedBlocks;
  #ended = false;

  constructor(parts: ManagerParts) {
    const { host, lower, residency, metrics } = parts;
    this.layout = parts.layout;
    this.arena = host.arena;
    this.#host = host;
    this.#lower = lower;
    this.#residency = residency;
    this.#metrics = metrics;
    this.#lookUpShared = parts.lookUpShared;
    this.#awaited = new AwaitedBlocks((hash) => host.pool.hold(hash));
    this.#offloader = new Offloader({
      ...parts,
      onDevice: (hash) => residency.has('device', hash),
      missed: (identity, reason) =>
        reason === 'no_room' ? this.#awaited.starved(identity) : this.#awaited.never(identity.hash),
    });
    this.#fetcher = new Fetcher({ host, lower, metrics, concurrency: parts.concurrency });
    residency.subscribe(({ kind, tier, block }) => {
      if (kind === 'stored' && tier === 'host') this.#awaited.came(block.hash);
    });
    host.pool.onVacated = () => this.#retryStarved();
  }

  /** The engine's cache has these now; higher priorities are copied first and kept longer. */
  stored(blocks: readonly BlockIdentity[], priority = 0): void {
    for (const block of blocks) {
      this.#residency.stored('device', block);
      if (this.#awaited.has(block.hash)) this.#offloader.offerAwaited(block, priority);
      else this.#offloader.offer(block, priority);
    }
  }

  /** The engine's cache has these no more. */
  removed(blocks: readonly BlockIdentity[]): void {
    for (const block of blocks) this.#residency.removed('device', block);
  }

  /** Longest beginning that could be onboarded, as far as is known here; blocks in the engine's cache are not counted. */
  match(blocks: readonly BlockIdentity[]): TierMatch {
    const found: TierMatch = { blocks: 0, host: 0, disk: 0, object: 0 };
    for (const { hash } of blocks) {
      const tier = this.#tierOf(hash);
      if (tier === null) break;
      found[tier]++;
      found.blocks++;
    }
    return found;
  }

  /**
   * Brings these into host memory, at most as many as fit: who wants more imports, lets go and asks for the rest. An abort
   * returns what is there by then.
   */
  async onboard(blocks: readonly BlockIdentity[], signal?: AbortSignal): Promise<Onboarding> {
    const wanted = await this.#reachable(blocks.slice(0, this.#host.pool.capacityBlocks));
    this.#count(Math.min(blocks.length, this.#host.pool.capacityBlocks), wanted);
    const coming = wanted.map(
      ({ identity }) => this.#host.pool.hold(identity.hash) ?? this.#fetcher.fetch(identity),
    );
    const holds: BlockHold[] = [];
    for (let i = 0; i < coming.length; i++) {
      const hold = await orAborted(Promise.resolve(coming[i]!), signal);
      if (hold === null) {
        for (const late of coming.slice(i))
          void Promise.resolve(late).then((late) => late?.[Symbol.dispose]());
        break;
      }
      holds.push(hold);
      this.#metrics.onboarded('host', this.#host.bytes(hold).length);
    }
    return new Onboarding(holds, (hold) => this.#host.bytes(hold));
  }

  /** A block that is in host memory now. */
  hold(hash: bigint): ServedBlock | null {
    const hold = this.#host.pool.hold(hash);
    return hold === null ? null : new ServedBlock(hold, this.#host.bytes(hold));
  }

  /**
   * A block as soon as it is in host memory: it is copied there before all others once the engine has computed it, or
   * fetched from below. null after an abort, and when the engine gave it up before it could be copied.
   */
  async whenHeld(block: BlockIdentity, signal: AbortSignal): Promise<ServedBlock | null> {
    const here = this.hold(block.hash);
    if (here !== null || this.#ended) return here;
    const coming = this.#awaited.wait(block.hash, signal);
    if (this.#residency.has('device', block.hash)) this.#offloader.offerAwaited(block);
    else if (this.#anyTierOf(block.hash) !== null)
      void this.#fetcher.fetch(block).then((hold) => hold?.[Symbol.dispose]());
    const hold = await coming;
    return hold === null ? null : new ServedBlock(hold, this.#host.bytes(hold));
  }

  /** A slot for a block that comes from another worker; null when all of host memory is held. */
  receive(block: BlockIdentity): ReceivingBlock | 'present' | null {
    if (this.#host.touch(block.hash) || this.#residency.has('device', block.hash)) return 'present';
    const partial = this.#ended ? null : this.#host.pool.allocate();
    if (partial === null) {
      this.#metrics.skipped('host', 'no_room');
      return null;
    }
    return new ReceivingBlock(block, { partial, bytes: this.#host.bytes(partial), metrics: this.#metrics });
  }

  /** Whether blocks are looked for that only other workers know of. */
  get sharesObjects(): boolean {
    return this.#lookUpShared;
  }

  /** Asks the object store for the first blocks that no tier here has; `match` counts them afterwards. */
  async lookUp(blocks: readonly BlockIdentity[]): Promise<void> {
    const shared = this.#lookUpShared ? this.#lower.find(({ name }) => name === 'object') : undefined;
    const known = blocks.findIndex(({ hash }) => this.#anyTierOf(hash) === null);
    if (shared && known >= 0) await shared.lookUp(blocks.slice(known));
  }

  /** The engine's own work waited this long for blocks to be copied. */
  engineSpent(ms: number): void {
    this.#metrics.engineSpent(ms / 1_000);
  }

  /** The engine could not take the bytes of a block: no tier here gives it again. */
  unusable({ hash }: BlockIdentity): void {
    this.#metrics.fault('host', 'io');
    this.#host.pool.drop(hash);
    for (const tier of this.#lower) tier.drop(hash);
  }

  /** As `subscribe`, but tells first of what is there already. */
  follow(listener: BlockListener): () => void {
    return this.#residency.follow(listener);
  }

  /** Tells of each block that comes into a tier or leaves it; the returned function ends that. */
  subscribe(listener: BlockListener): () => void {
    return this.#residency.subscribe(listener);
  }

  /** What host memory can hold. */
  get hostBlocks(): number {
    return this.#host.pool.capacityBlocks;
  }

  /** How many different blocks there are in all tiers, the engine's cache included. */
  get blocks(): number {
    return this.#residency.blocks;
  }

  /** Which tiers have a block. */
  has(tier: KvTier, hash: bigint): boolean {
    return this.#residency.has(tier, hash);
  }

  status(): TierStatus[] {
    const describe = (tier: TierName, pool: BlockPool, degraded: boolean): TierStatus => ({
      tier,
      capacityBlocks: pool.capacityBlocks,
      registeredBlocks: pool.registeredBlocks,
      inactiveBlocks: pool.inactiveBlocks,
      evictions: pool.evictions,
      degraded,
    });
    return [
      describe('host', this.#host.pool, false),
      ...this.#lower.map(({ name, pool, degraded }) => describe(name, pool, degraded)),
    ];
  }

  /** Blocks that wait to be copied down. */
  get waitingBlocks(): number {
    return this.#offloader.waitingBlocks;
  }

  /** Drops what nobody holds from host memory and disk, and what waits to be moved; returns how many blocks. Other workers' objects stay. */
  clear(): number {
    this.#offloader.clear();
    let count = this.#host.pool.clear();
    for (const tier of this.#lower) if (tier.name === 'disk') count += tier.clear();
    return count;
  }

  /** When nothing is on its way. */
  async whenIdle(): Promise<void> {
    await this.#offloader.whenIdle();
    await this.#fetcher.whenIdle();
  }

  /** Lets what is under way end. The engine must have ended its onboardings, and others what they serve and receive. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#awaited.end();
    this.#offloader.clear();
    await this.whenIdle();
    const ended = await Promise.all(this.#lower.map((tier) => tier.close()));
    // What hangs may still write host memory: then it stays until the process ends.
    if (ended.every(Boolean)) this.#host.close();
  }

  #retryStarved(): void {
    for (const identity of this.#awaited.takeStarved()) this.#offloader.offerAwaited(identity);
  }

  #tierOf(hash: bigint): TierName | null {
    if (this.#host.pool.has(hash)) return 'host';
    return this.#lower.find(({ pool, degraded }) => pool.has(hash) && !degraded)?.name ?? null;
  }

  /** The beginning of `blocks` that is in some tier, with the tier. A degraded tier is tried all the same: so it comes back. */
  async #reachable(blocks: readonly BlockIdentity[]): Promise<{ identity: BlockIdentity; tier: TierName }[]> {
    await this.lookUp(blocks);
    const reachable: { identity: BlockIdentity; tier: TierName }[] = [];
    for (const identity of blocks) {
      const tier = this.#anyTierOf(identity.hash);
      if (tier === null) break;
      reachable.push({ identity, tier });
    }
    return reachable;
  }

  #anyTierOf(hash: bigint): TierName | null {
    if (this.#host.pool.has(hash)) return 'host';
    return this.#lower.find(({ pool }) => pool.has(hash))?.name ?? null;
  }

  /** Each tier is asked for what those above it lack. */
  #count(asked: number, found: readonly { tier: TierName }[]): void {
    for (const tier of ['host', ...this.#lower.map(({ name }) => name)] as const) {
      const here = found.filter((block) => block.tier === tier).length;
      this.#metrics.matched(tier, asked, here);
      asked -= here;
    }
  }
}

function orAborted<T>(promise: Promise<T | null>, signal: AbortSignal | undefined): Promise<T | null> {
  if (signal === undefined) return promise;
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const abort = () => resolve(null);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
