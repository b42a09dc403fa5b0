/**
 * The Directory object, one per deployment: which models exist, in which namespace, at which addresses. A shell around
 * `directory.ts`; `rpc.ts` has its interface. Stored are models that may sleep, with their tokenizers and templates, so that
 * a request for one can be prepared and held without a worker; all else the Router objects repeat.
 */

import { DurableObject, hostOf } from '#platform';
import type { Host } from '../platform/host.ts';
import { settingsFromEnv } from '../runtime/config.ts';
import { toStatorError } from '../runtime/errors.ts';
import { Logger } from '../runtime/log.ts';
import { DirectoryCore } from './directory.ts';
import { FileKeeper } from './file-keeper.ts';
import type { DirectoryRpc, DirectorySnapshot, ModelEntry } from './rpc.ts';
import { sqlFiles, sqlSleepers } from './sql-disk.ts';
import { fetchFile } from './worker-file.ts';

export class Directory extends DurableObject implements DirectoryRpc {
  readonly #host: Host;
  readonly #core: DirectoryCore;
  readonly #files: FileKeeper;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#host = hostOf(ctx);
    const settings = settingsFromEnv(env as Record<string, unknown>);
    const log = new Logger({ component: 'directory', level: settings.logLevel });
    this.#core = new DirectoryCore(this.#host.nowMs(), sqlSleepers(ctx.storage.sql, settings));
    this.#files = new FileKeeper({
      disk: sqlFiles(ctx.storage),
      fetch: (address, sha256) => fetchFile(address, sha256, settings.fleetToken),
      failed: (sha256, thrown) =>
        log.warn('a file of a model that may sleep cannot be kept', { sha256, error: toStatorError(thrown) }),
    });
  }

  read(knownVersion: number): DirectorySnapshot | null {
    return this.#core.read(knownVersion, this.#host.nowMs());
  }

  publish(namespace: string, models: ModelEntry[]): number {
    const version = this.#core.publish(namespace, models, this.#host.nowMs());
    const known = this.#core.read(-1, this.#host.nowMs())?.models ?? [];
    this.#files.follow(known.filter(({ maySleep }) => maySleep));
    return version;
  }

  file(sha256: string, piece: number): Uint8Array | null {
    return this.#files.piece(sha256, piece);
  }
}
