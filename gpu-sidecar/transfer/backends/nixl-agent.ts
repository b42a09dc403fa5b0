/**
 * One NIXL agent over one arena of host memory, with the UCX backend: its metadata, writes into arenas of other agents, and the
 * notifications that come with such writes. The arena is registered once, for as long as the agent lives.
 */

import { randomBytes } from 'node:crypto';
import koffi from 'koffi';
import type { HostArena } from '../../kvbm/tiers/host-arena.ts';
import { done, IN_PROGRESS, type NixlApi, out, outBytes, type Pointer } from './nixl-api.ts';

const DRAM = 0;
const WRITE = 1;
/** NIXL_THREAD_SYNC_STRICT: its progress thread and ours. */
const THREAD_SYNC = 1;
/** How long the progress thread sleeps between looks: below 100 it takes a processor for itself. */
const PROGRESS_DELAY_US = 100;

/**
 * Threads that copy, where copying is the processor's work (UCX on one host): without them the call that begins a write does all of
 * it, on the event loop. Each write is shared between them, however few blocks it has.
 */
const PARAMETERS = { num_threads: '2', split_batch_size: '1' };
/** What one of them takes at a time. */
const PIECE_BYTES = 1024 * 1024;

/** Equally many bytes here and there. */
export interface WriteRange {
  from: bigint;
  to: bigint;
  bytes: number;
}

export interface Notification {
  agent: string;
  message: Uint8Array;
}

export class NixlAgent {
  readonly name = `stator-${randomBytes(12).toString('hex')}`;
  readonly metadata: Uint8Array;
  readonly #api: NixlApi;
  readonly #agent: Pointer;
  readonly #backend: Pointer;

  /** Throws `backend`. */
  constructor(api: NixlApi, arena: HostArena & { address: bigint }) {
    this.#api = api;
    const config = {
      enable_prog_thread: true,
      enable_listen_thread: false,
      listen_port: 0,
      thread_sync: THREAD_SYNC,
      num_workers: 1,
      pthr_delay_us: PROGRESS_DELAY_US,
      lthr_delay_us: 100_000,
      capture_telemetry: false,
    };
    this.#agent = out('create agent', (agent) => api.create_configured_agent(this.name, config, agent));
    const parameters = out('parameters', (made) => api.create_params(made));
    for (const [name, value] of Object.entries(PARAMETERS)) {
      done(api.params_add(parameters, name, value), name);
    }
    this.#backend = out('backend UCX', (made) => api.create_backend(this.#agent, 'UCX', parameters, made));
    api.destroy_params(parameters);
    const list = out('registration list', (made) => api.create_reg_dlist(DRAM, made));
    const { address, bytes } = arena;
    done(api.reg_dlist_add_desc(list, address, bytes.length, 0, null, 0), 'registration');
    const options = this.#options(null);
    done(api.register_mem(this.#agent, list, options), 'register host memory');
    api.destroy_opt_args(options);
    api.destroy_reg_dlist(list);
    this.metadata = outBytes('metadata', (at, size) => api.get_local_md(this.#agent, at, size));
  }

  /** Another agent becomes known; returns its name. Throws `backend`. */
  load(metadata: Uint8Array): string {
    const name = out('metadata of the peer', (made) =>
      this.#api.load_remote_md(this.#agent, metadata, metadata.length, made),
    );
    return koffi.decode(name, 'char', -1) as string;
  }

  forget(agent: string): void {
    this.#api.invalidate_remote_md(this.#agent, agent);
  }

  /**
   * Begins to write; the other agent gets `message` when all of it is there. Throws `backend`.
   */
  write(agent: string, ranges: readonly WriteRange[], message: Uint8Array): NixlWrite {
    const api = this.#api;
    const made: (() => void)[] = [];
    const list = () => {
      const pointer = out('list', (result) => api.create_xfer_dlist(DRAM, result));
      made.push(() => api.destroy_xfer_dlist(pointer));
      return pointer;
    };
    const options = this.#options(message);
    made.push(() => api.destroy_opt_args(options));
    const [local, remote] = [list(), list()];
    const free = () => {
      for (const destroy of made.reverse()) destroy();
    };
    try {
      for (const { from, to, bytes } of ranges) {
        for (let at = 0; at < bytes; at += PIECE_BYTES) {
          const length = Math.min(bytes - at, PIECE_BYTES);
          done(api.xfer_dlist_add_desc(local, from + BigInt(at), length, 0), 'source');
          done(api.xfer_dlist_add_desc(remote, to + BigInt(at), length, 0), 'destination');
        }
      }
      const request = out('write', (result) =>
        api.create_xfer_req(this.#agent, WRITE, local, remote, agent, result, options),
      );
      made.push(() => {
        api.release_xfer_req(this.#agent, request);
        api.destroy_xfer_req(request);
      });
      let status = api.post_xfer_req(this.#agent, request, options);
      return {
        poll: () => {
          if (status === IN_PROGRESS) status = api.get_xfer_status(this.#agent, request);
          if (status === IN_PROGRESS) return false;
          done(status, 'write');
          return true;
        },
        free,
      };
    } catch (thrown) {
      free();
      throw thrown;
    }
  }

  /** What has come since the last time. */
  notifications(): Notification[] {
    const api = this.#api;
    const map = out('notifications', (made) => api.create_notif_map(made));
    try {
      done(api.get_notifs(this.#agent, map, null), 'notifications');
      const found: Notification[] = [];
      const agents = this.#count((size) => api.notif_map_size(map, size));
      for (let i = 0; i < agents; i++) {
        const agent = out<string>('sender', (name) => api.notif_map_get_agent_at(map, i, name));
        const messages = this.#count((size) => api.notif_map_get_notifs_size(map, agent, size));
        for (let j = 0; j < messages; j++) {
          const message = outBytes('notification', (at, size) =>
            api.notif_map_get_notif(map, agent, j, at, size),
          );
          found.push({ agent, message });
        }
      }
      return found;
    } finally {
      api.destroy_notif_map(map);
    }
  }

  close(): void {
    this.#api.destroy_agent(this.#agent);
  }

  #count(call: (size: [number]) => number): number {
    const size: [number] = [0];
    done(call(size), 'count');
    return Number(size[0]);
  }

  #options(message: Uint8Array | null): Pointer {
    const api = this.#api;
    const options = out('options', (made) => api.create_opt_args(made));
    done(api.opt_args_add_backend(options, this.#backend), 'options');
    if (message) {
      done(api.opt_args_set_notif_msg(options, message, message.length), 'options');
      done(api.opt_args_set_has_notif(options, true), 'options');
    }
    return options;
  }
}

/** A write on its way. */
export interface NixlWrite {
  /** Whether it has ended. Throws `backend` when it failed. */
  poll(): boolean;
  /** Once, when it has ended or is given up. */
  free(): void;
}
