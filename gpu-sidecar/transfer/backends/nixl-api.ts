/**
 * NIXL's C API (libnixl_capi 1.x) as far as transfers of host memory need it, through koffi. Every call returns a status, 0 is
 * success; `out` and `done` make faults of the others.
 */

import koffi from 'koffi';
import { TransferFault } from '../fault.ts';
import type { NixlLibrary } from './nixl-library.ts';

/** nixl_capi_status_t. */
export const IN_PROGRESS = 1;
const STATUS: Readonly<Record<string, string>> = {
  '-1': 'invalid parameter',
  '-2': 'backend failed',
  '-3': 'invalid state',
  '-4': 'exception',
  '-6': 'not found',
};

export type Pointer = unknown;
type Call = (...args: unknown[]) => number;

const CALLS = {
  create_configured_agent: ['str', 'config', 'out'],
  destroy_agent: ['ptr'],
  get_local_md: ['ptr', 'out', 'outSize'],
  load_remote_md: ['ptr', 'ptr', 'size', 'out'],
  invalidate_remote_md: ['ptr', 'str'],
  create_params: ['out'],
  destroy_params: ['ptr'],
  params_add: ['ptr', 'str', 'str'],
  create_backend: ['ptr', 'str', 'ptr', 'out'],
  create_opt_args: ['out'],
  destroy_opt_args: ['ptr'],
  opt_args_add_backend: ['ptr', 'ptr'],
  opt_args_set_notif_msg: ['ptr', 'ptr', 'size'],
  opt_args_set_has_notif: ['ptr', 'bool'],
  create_reg_dlist: ['int', 'out'],
  reg_dlist_add_desc: ['ptr', 'address', 'size', 'uint64', 'ptr', 'size'],
  destroy_reg_dlist: ['ptr'],
  register_mem: ['ptr', 'ptr', 'ptr'],
  create_xfer_dlist: ['int', 'out'],
  xfer_dlist_add_desc: ['ptr', 'address', 'size', 'uint64'],
  destroy_xfer_dlist: ['ptr'],
  create_xfer_req: ['ptr', 'int', 'ptr', 'ptr', 'str', 'out', 'ptr'],
  post_xfer_req: ['ptr', 'ptr', 'ptr'],
  get_xfer_status: ['ptr', 'ptr'],
  release_xfer_req: ['ptr', 'ptr'],
  destroy_xfer_req: ['ptr'],
  create_notif_map: ['out'],
  destroy_notif_map: ['ptr'],
  get_notifs: ['ptr', 'ptr', 'ptr'],
  notif_map_size: ['ptr', 'outSize'],
  notif_map_get_agent_at: ['ptr', 'size', 'outText'],
  notif_map_get_notifs_size: ['ptr', 'str', 'outSize'],
  notif_map_get_notif: ['ptr', 'str', 'size', 'out', 'outSize'],
} as const;

export type NixlApi = Readonly<Record<keyof typeof CALLS, Call>>;

/** Throws `backend` when it cannot be loaded or is the stub that does nothing. */
export function loadNixl({ path, plugins }: NixlLibrary): NixlApi {
  // Read when the library is loaded. Its transport would take SIGSEGV, which V8 needs for wasm.
  if (plugins) process.env['NIXL_PLUGIN_DIR'] ??= plugins;
  process.env['UCX_HANDLE_ERRORS'] ??= 'none';
  process.env['UCX_ERROR_SIGNALS'] ??= '';
  try {
    const library = koffi.load(path, { global: true });
    const config = koffi.struct({
      enable_prog_thread: 'bool',
      enable_listen_thread: 'bool',
      listen_port: 'int',
      thread_sync: 'int',
      num_workers: 'uint',
      pthr_delay_us: 'uint64',
      lthr_delay_us: 'uint64',
      capture_telemetry: 'bool',
    });
    const types: Readonly<Record<string, unknown>> = {
      config: koffi.pointer(config),
      ptr: 'void *',
      size: 'size_t',
      address: 'uintptr_t',
      out: koffi.out(koffi.pointer('void *')),
      outSize: koffi.out(koffi.pointer('size_t')),
      outText: koffi.out(koffi.pointer('str')),
    };
    if (library.func('nixl_capi_is_stub', 'bool', [])()) throw new Error('this library is a stub');
    const calls = Object.entries(CALLS).map(([name, args]) => [
      name,
      library.func(`nixl_capi_${name}`, 'int', args.map((arg) => types[arg] ?? arg) as string[]),
    ]);
    return Object.fromEntries(calls) as NixlApi;
  } catch (thrown) {
    throw new TransferFault('backend', `${path}: ${(thrown as Error).message}`, thrown);
  }
}

/** Throws `backend`. */
export function done(status: number, what: string): void {
  if (status !== 0) throw new TransferFault('backend', `NIXL ${what}: ${STATUS[status] ?? status}`);
}

/** What a call hands out by its last arguments. */
export function out<T = Pointer>(what: string, call: (result: [T | null]) => number): T {
  const result: [T | null] = [null];
  done(call(result), what);
  return result[0] as T;
}

/** Bytes that the library hands out. */
export function outBytes(what: string, call: (at: [Pointer], size: [number]) => number): Uint8Array {
  const at: [Pointer] = [null];
  const size: [number] = [0];
  done(call(at, size), what);
  return new Uint8Array(koffi.view(at[0], Number(size[0]))).slice();
}
