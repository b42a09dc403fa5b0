/**
 * Objects as files of a directory that several machines may share (NFS): written under another name and renamed, so that a reader
 * sees a whole object or none. Unfinished files of writers that died are removed by the next who lists.
 */

import { randomUUID } from 'node:crypto';
import { access, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../../durable/runtime/clock.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { TierFault } from '../tiers/tier-store.ts';
import type { ObjectStore } from './object-store.ts';

const UNFINISHED = '.unfinished';

export class SharedDirectory implements ObjectStore {
  readonly #root: string;
  readonly #clock: Clock;

  constructor(root: string, clock: Clock) {
    this.#root = root;
    this.#clock = clock;
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const path = join(this.#root, key);
    const unfinished = `${path}.${randomUUID()}${UNFINISHED}`;
    await mkdir(dirname(path), { recursive: true });
    try {
      await writeFile(unfinished, bytes, { signal });
      await rename(unfinished, path);
    } catch (thrown) {
      await rm(unfinished, { force: true });
      throw thrown;
    }
  }

  async get(key: string, length: number): Promise<Uint8Array> {
    const file = await open(join(this.#root, key), 'r');
    try {
      const { size } = await file.stat();
      if (size !== length) throw new TierFault('short_read', `${key} has ${size} bytes, not ${length}`);
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await file.read(bytes, at, length - at, at);
        if (bytesRead === 0) throw new TierFault('short_read', `${key} ended after ${at} bytes`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  async has(key: string): Promise<boolean> {
    return access(join(this.#root, key)).then(
      () => true,
      (thrown: NodeJS.ErrnoException) => {
        if (thrown.code === 'ENOENT') return false;
        throw thrown;
      },
    );
  }

  async delete(key: string): Promise<void> {
    await rm(join(this.#root, key), { force: true });
  }

  async list(prefix: string, limit: number): Promise<string[]> {
    const names = await readdir(join(this.#root, prefix), { recursive: true, withFileTypes: true }).catch(
      (thrown: NodeJS.ErrnoException) => {
        if (thrown.code === 'ENOENT') return [];
        throw thrown;
      },
    );
    const keys: string[] = [];
    for (const entry of names) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile()) continue;
      if (entry.name.endsWith(UNFINISHED)) await this.#sweep(path);
      else if (keys.length < limit) keys.push(path.slice(this.#root.length).replace(/^\/+/, ''));
    }
    return keys;
  }

  async #sweep(path: string): Promise<void> {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }));
    if (this.#clock.nowMs() - mtimeMs > LIMITS.kvbmUnfinishedMs) await rm(path, { force: true });
  }
}
