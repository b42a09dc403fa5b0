/**
 * One fleet socket: frames in, calls on the router's core, frames out.
 *
 * States: `new` (only Register is taken, within `LIMITS.registerTimeoutMs`), `joined` (it speaks for one worker), `closed`
 * (nothing is taken any more). Whatever is wrong with a frame is answered once, with Rejected, and the socket is
 * closed; a frame is checked as a whole before any of it is applied.
 */

import type { KvDump } from '../../gpu-sidecar/proto/gen/stator/v1/fleet_pb.js';
import { StatorError, toStatorError } from '../runtime/errors.ts';
import { LIMITS } from '../runtime/limits.ts';
import { BatchReader, isBatchFrame } from './batch-reader.ts';
import { ACK, decodeWorkerFrame, encodeRouterFrame } from './frames.ts';
import { checkChange, dumpChunk } from './kv-changes.ts';
import type { Ask } from './kv-events.ts';
import { parseRegistration } from './registration.ts';
import type { RouterCore, WorkerLink } from './router.ts';
import type { Rank, Worker } from './workers.ts';

/** The connection's end of the wire. */
export interface FleetSocket {
  send(frame: Uint8Array): void;
  close(code: number, reason: string): void;
}

/** Close codes: the Rejected frame before it has the reason. */
export const CLOSE = {
  normal: 1000,
  broken: 1006,
  rejected: 4000,
  replaced: 4001,
  leaseEnded: 4002,
} as const;

/** Scratch of one frame; frames are handled one after the other. */
const reader = new BatchReader();

export class FleetConnection implements WorkerLink {
  readonly #core: RouterCore;
  readonly #socket: FleetSocket;
  readonly #openedMs: number;
  #state: { phase: 'new' } | { phase: 'joined'; worker: Worker } | { phase: 'closed' } = { phase: 'new' };

  constructor(core: RouterCore, socket: FleetSocket, nowMs: number) {
    this.#core = core;
    this.#socket = socket;
    this.#openedMs = nowMs;
  }

  get isClosed(): boolean {
    return this.#state.phase === 'closed';
  }

  /** One message of the socket, as the platform gave it. */
  receive(data: unknown, nowMs: number): void {
    if (this.#state.phase === 'closed') return;
    try {
      this.#frame(bytesOf(data), nowMs);
    } catch (thrown) {
      this.#reject(toStatorError(thrown), nowMs);
    }
  }

  /** The socket is gone; `code` 1006 when it broke. */
  closed(code: number, nowMs: number): void {
    const state = this.#state;
    this.#state = { phase: 'closed' };
    if (state.phase !== 'joined') return;
    if (code === CLOSE.broken) this.#core.lose(state.worker, this);
    else this.#core.leave(state.worker, this, nowMs);
  }

  /** Called now and then: ends a connection that does not register. */
  tick(nowMs: number): void {
    if (this.#state.phase !== 'new' || nowMs - this.#openedMs < LIMITS.registerTimeoutMs) return;
    const message = `no Register within ${LIMITS.registerTimeoutMs} ms`;
    this.#reject(new StatorError('invalid_frame', message), nowMs);
  }

  ask(dpRank: number, ask: Ask): void {
    if (ask.kind === 'resend') {
      this.#send({ case: 'resend', value: { dpRank, fromEventId: BigInt(ask.fromEventId) } });
    } else {
      const piece = ask.kind === 'snapshot' ? { snapshotPiece: ask.piece } : {};
      this.#send({ case: 'sendDump', value: { dpRank, ...piece } });
    }
  }

  clearKv(): void {
    this.#send({ case: 'clearKv', value: {} });
  }

  /** The core gave the worker up, or to another connection. */
  detach(why: 'replaced' | 'superseded' | 'lease-ended'): void {
    if (this.#state.phase === 'closed') return;
    if (why === 'superseded') {
      const message = 'a newer epoch of this instance has registered';
      this.#send({ case: 'rejected', value: { code: 'stale_epoch', message } });
    }
    this.#state = { phase: 'closed' };
    this.#socket.close(why === 'lease-ended' ? CLOSE.leaseEnded : CLOSE.replaced, why);
  }

  #frame(bytes: Uint8Array, nowMs: number): void {
    if (bytes.length > LIMITS.fleetFrameBytes) {
      throw invalid(`a frame of ${bytes.length} bytes; the limit is ${LIMITS.fleetFrameBytes}`);
    }
    if (this.#state.phase === 'joined' && isBatchFrame(bytes)) {
      this.#batch(this.#state.worker, bytes, nowMs);
      return;
    }
    const frame = decodeWorkerFrame(bytes);
    if (this.#state.phase !== 'joined') {
      if (frame.case !== 'register') throw invalid(`the first frame must be Register, not ${frame.case}`);
      this.#register(parseRegistration(frame.value), nowMs);
      return;
    }
    const { worker } = this.#state;
    worker.lastFrameMs = nowMs;
    switch (frame.case) {
      case 'register':
        throw invalid('Register twice on one socket');
      case 'batch':
        this.#batch(worker, bytes, nowMs);
        return;
      case 'dump':
        this.#dump(worker, frame.value, bytes, nowMs);
        return;
      case 'draining':
        this.#core.drain(worker);
        return;
    }
  }

  #register(registration: ReturnType<typeof parseRegistration>, nowMs: number): void {
    this.#core.checkAdmission(registration);
    const { routerBoot, leaseMs, heartbeatMs, wantsPasses } = this.#core;
    this.#send({ case: 'welcome', value: { routerBoot, leaseMs, heartbeatMs, wantsPasses } });
    this.#state = { phase: 'joined', worker: this.#core.join(registration, this, nowMs) };
  }

  #batch(worker: Worker, bytes: Uint8Array, nowMs: number): void {
    reader.read(bytes);
    for (const { dpRank, change } of reader.events) {
      rankOf(worker, dpRank);
      checkChange(change);
    }
    if (reader.load) rankOf(worker, reader.load.dpRank);
    for (let i = 0; i < reader.progressCount; i++) checkPhase(reader.progress[i]!.phase);
    this.#core.applyBatch(worker, reader, nowMs);
    if (reader.isEmpty) this.#socket.send(ACK);
  }

  #dump(worker: Worker, dump: KvDump, frame: Uint8Array, nowMs: number): void {
    const rank = rankOf(worker, dump.dpRank);
    const chunk = dumpChunk(dump);
    const { snapshotPiece } = dump;
    if (snapshotPiece === undefined) rank.stream?.dump(chunk, nowMs);
    else this.#core.snapshotPiece(rank, { ...chunk, piece: snapshotPiece, frame });
  }

  #reject(error: StatorError, nowMs: number): void {
    const { code, message } = error;
    this.#core.rejected(code, message, this.#state.phase === 'joined' ? this.#state.worker : null);
    this.#send({ case: 'rejected', value: { code, message } });
    this.#socket.close(CLOSE.rejected, code);
    this.closed(CLOSE.rejected, nowMs);
  }

  #send(frame: Parameters<typeof encodeRouterFrame>[0]): void {
    this.#socket.send(encodeRouterFrame(frame));
  }
}

function bytesOf(data: unknown): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Uint8Array) return data;
  throw invalid('a text message; frames are binary');
}

function rankOf(worker: Worker, dpRank: number): Rank {
  const rank = worker.ranks[dpRank];
  if (!rank) throw invalid(`dp rank ${dpRank}; the worker registered ${worker.ranks.length}`);
  return rank;
}

function checkPhase(phase: number): void {
  if (phase < 1 || phase > 4) throw invalid(`progress phase ${phase}`);
}

const invalid = (what: string) => new StatorError('invalid_frame', what);
