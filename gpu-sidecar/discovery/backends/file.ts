/**
 * Discovery by a directory that all share, a network's too: a key is a file `<key>.json`, its value the content, its lease the
 * time of its last change, which the owner renews. Files are written under another name and renamed, so a reader sees a
 * whole value or none; one that is no JSON all the same is passed over, and said once.
 *
 * Clocks of two machines differ: after the first look a reader judges a file by when it has itself seen its time change.
 * Watchers look every `discoveryPollMs`, because no file system tells of changes made elsewhere. What is long dead is
 * removed by whoever comes by.
 */

import { randomUUID } from 'node:crypto';
import type { Dirent, Stats } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type {
  Discovery,
  DiscoveryChange,
  DiscoveryEntry,
  DiscoveryKind,
  DiscoveryOptions,
  DiscoveryWatch,
} from '../discovery.ts';
import { checkEntry, isJson } from '../discovery-keys.ts';
import { KnownEntries } from '../known-entries.ts';

const ENDING = '.json';

export const fileDiscovery: DiscoveryKind = {
  wants: 'DIRECTORY',
  open(location, options) {
    if (location === '')
      throw new StatorError('invalid_request', 'discovery file: wants a directory behind the colon');
    return new FileDiscovery(resolve(location), options);
  },
};

/** What a reader knows of a file. */
interface Seen {
  mtimeMs: number;
  /** When its time last changed, on this reader's clock; at first sight what the file says. */
  changedMs: number;
  /** null: it is no JSON. */
  value: string | null;
}

class FileDiscovery implements Discovery {
  readonly #root: string;
  readonly #options: DiscoveryOptions;
  readonly #own = new Map<string, string>();
  readonly #seen = new Map<string, Seen>();
  readonly #watches = new Set<{ look(): Promise<void> }>();
  #renewing = false;
  #looking = false;
  #closed = false;
  #away = false;

  constructor(root: string, options: DiscoveryOptions) {
    this.#root = root;
    this.#options = options;
  }

  async put(key: string, value: string): Promise<void> {
    checkEntry(key, value);
    this.#own.set(key, value);
    this.#renewLater();
    try {
      await this.#write(key, value);
    } catch (cause) {
      throw new StatorError('worker_unavailable', `discovery cannot write ${key}: ${said(cause)}`, { cause });
    }
  }

  async delete(key: string): Promise<void> {
    if (this.#own.delete(key)) await rm(this.#path(key), { force: true });
  }

  async list(prefix: string): Promise<DiscoveryEntry[]> {
    try {
      return await this.#scan(prefix);
    } catch (cause) {
      const message = `discovery cannot read ${this.#root}: ${said(cause)}`;
      throw new StatorError('worker_unavailable', message, { cause });
    }
  }

  watch(prefix: string, changed: (change: DiscoveryChange) => void): DiscoveryWatch {
    const known = new KnownEntries(changed);
    const synced = Promise.withResolvers<void>();
    const watch = {
      look: async () => {
        const entries = await this.#scan(prefix);
        if (!this.#watches.has(watch)) return;
        known.replace(entries);
        synced.resolve();
      },
    };
    this.#watches.add(watch);
    void this.#look();
    return { synced: synced.promise, close: () => void this.#watches.delete(watch) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watches.clear();
    const keys = [...this.#own.keys()];
    this.#own.clear();
    await Promise.all(keys.map((key) => rm(this.#path(key), { force: true }).catch(() => {})));
  }

  #path(key: string): string {
    return join(this.#root, key + ENDING);
  }

  async #write(key: string, value: string): Promise<void> {
    const path = this.#path(key);
    const unfinished = `${path}.${randomUUID()}`;
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeFile(unfinished, value);
      await rename(unfinished, path);
    } catch (thrown) {
      await rm(unfinished, { force: true });
      throw thrown;
    }
  }

  /** A third of the lease, so that two renewals may fail. */
  #renewLater(): void {
    if (this.#renewing) return;
    this.#renewing = true;
    this.#options.timers.after(this.#options.leaseMs / 3, () => {
      void this.#renew().then(() => {
        this.#renewing = false;
        if (this.#own.size > 0 && !this.#closed) this.#renewLater();
      });
    });
  }

  async #renew(): Promise<void> {
    const now = new Date(this.#options.clock.nowMs());
    for (const [key, value] of [...this.#own]) {
      try {
        await utimes(this.#path(key), now, now).catch(async (thrown: NodeJS.ErrnoException) => {
          // Somebody took us for dead while this process stood still.
          if (thrown.code !== 'ENOENT') throw thrown;
          if (this.#own.get(key) === value) await this.#write(key, value);
        });
      } catch (thrown) {
        this.#options.log.warn('discovery cannot renew a key', { key, reason: said(thrown) });
      }
    }
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#watches.size === 0) return;
    this.#looking = true;
    try {
      for (const watch of [...this.#watches]) await watch.look();
      this.#note(false, null);
    } catch (thrown) {
      this.#note(true, thrown);
    }
    this.#looking = false;
    const { leaseMs, timers } = this.#options;
    timers.after(Math.min(LIMITS.discoveryPollMs, leaseMs / 4), () => void this.#look());
  }

  #note(away: boolean, reason: unknown): void {
    if (away === this.#away) return;
    this.#away = away;
    const fields = { directory: this.#root, ...(away ? { reason: said(reason) } : {}) };
    if (away) this.#options.log.warn('the directory of discovery cannot be read', fields);
    else this.#options.log.info('the directory of discovery can be read again', fields);
  }

  async #scan(prefix: string): Promise<DiscoveryEntry[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const entries: DiscoveryEntry[] = [];
    for (const key of await keysIn(this.#root, folder)) {
      if (!key.startsWith(prefix)) continue;
      const value = await this.#alive(key);
      if (value !== null) entries.push({ key, value });
    }
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The value of a key whose lease has not ended; null otherwise. */
  async #alive(key: string): Promise<string | null> {
    const path = this.#path(key);
    const { clock, leaseMs } = this.#options;
    const nowMs = clock.nowMs();
    const stats = await stat(path).catch(absent<Stats>);
    if (stats === null) {
      this.#seen.delete(key);
      return null;
    }
    let seen = this.#seen.get(key);
    if (seen?.mtimeMs !== stats.mtimeMs) {
      const changedMs = seen === undefined ? Math.min(nowMs, stats.mtimeMs) : nowMs;
      seen = { mtimeMs: stats.mtimeMs, changedMs, value: await this.#read(key, path) };
      this.#seen.set(key, seen);
    }
    const silentMs = nowMs - seen.changedMs;
    if (silentMs <= leaseMs) return seen.value;
    if (silentMs > leaseMs + LIMITS.discoveryForgetMs) await rm(path, { force: true }).catch(() => {});
    return null;
  }

  async #read(key: string, path: string): Promise<string | null> {
    const value = await readFile(path, 'utf8').catch(absent<string>);
    if (value === null || (value.length <= LIMITS.discoveryValueLength && isJson(value))) return value;
    this.#options.log.warn('discovery passes over a file that is no JSON', { key });
    return null;
  }
}

/** Keys below a folder of the root, by the names of the files. A folder that is not there has none. */
async function keysIn(root: string, folder: string): Promise<string[]> {
  const found = await readdir(join(root, folder), { withFileTypes: true }).catch(absent<Dirent[]>);
  const keys: string[] = [];
  for (const { name, isFile, isDirectory } of (found ?? []).map(kindOf)) {
    if (isFile && name.endsWith(ENDING)) keys.push(folder + name.slice(0, -ENDING.length));
    else if (isDirectory) keys.push(...(await keysIn(root, `${folder}${name}/`)));
  }
  return keys;
}

const kindOf = (entry: Dirent) => ({
  name: entry.name,
  isFile: entry.isFile(),
  isDirectory: entry.isDirectory(),
});

function absent<T>(thrown: NodeJS.ErrnoException): T | null {
  if (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR') return null;
  throw thrown;
}

const said = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
