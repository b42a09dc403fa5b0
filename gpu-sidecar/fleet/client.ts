/**
 * The fleet socket's shell: does what `session.ts` decides, over one WebSocket.
 *
 * Batches go out at most every `fleetBatchMs`, and not while the socket holds back a frame's worth of bytes: then the ring
 * and the merged progress are the backlog, and both are bounded.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import WebSocket from 'ws';
import type { Clock } from '../../durable/runtime/clock.ts';
import type { Logger } from '../../durable/runtime/log.ts';
import {
  type KvDump,
  type Register,
  type RouterFrame,
  RouterFrameSchema,
  type WorkerFrame,
  WorkerFrameSchema,
} from '../proto/gen/stator/v1/fleet_pb.js';
import type { WorkerLimits } from '../server/worker-limits.ts';
import type { Timers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { heartbeatFrame, type Outbox } from './outbox.ts';
import { type Refusal, upgradeRefusal } from './refusal.ts';
import { type Effect, type Happening, newSession, type Session, step, wakeAtMs } from './session.ts';

const FLEET_PROTOCOL = 'stator.fleet.v1';

export interface FleetClientOptions {
  /** `ws://host:port/fleet/v1/{namespace}`; asked before each dial. Throws while there is no platform to dial. */
  url: () => string;
  /** A dial came to nothing. */
  unreachable?: () => void;
  token: string;
  /** For `wss`: what is shown, and whom to trust. */
  tls?: FleetTls | null;
  register: Register;
  outbox: Outbox;
  /** The frames of a dump of the whole index. */
  dump: () => Iterable<KvDump>;
  /** A piece of a dump that the router keeps; null when there is none. */
  snapshotPiece: (piece: number) => KvDump | null;
  commands: FleetCommands;
  clock: Clock;
  timers: Timers;
  random: () => number;
  limits: WorkerLimits;
  log: Logger;
}

/** What a router may order, and what the process must hear of. */
export interface FleetCommands {
  welcomed(): void;
  drain(): void;
  clearKv(): void;
  /** The router will never take this worker. */
  refused(refusal: Refusal): void;
}

export class FleetClient {
  readonly #options: FleetClientOptions;
  #session: Session;
  #socket: WebSocket | null = null;
  #cancelTick: () => void = () => {};
  #flushDue = false;
  #settleDue = false;
  #draining = false;

  constructor(options: FleetClientOptions) {
    this.#options = options;
    this.#session = newSession(options.clock.nowMs());
  }

  get session(): Session['name'] {
    return this.#session.name;
  }

  start(): void {
    this.#happen({ kind: 'tick' });
  }

  /**
   * Something waits in the outbox. From a worker that has become idle it goes at once, before the last bytes of the answer:
   * a client that asks again then finds a router that knows.
   */
  changed(idle = false): void {
    if (idle) {
      this.#flush();
      return;
    }
    if (this.#flushDue || this.#session.name !== 'live') return;
    this.#flushDue = true;
    this.#options.timers.after(this.#options.limits.fleetBatchMs, () => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  /** The newest event and the load, though an event plane carries them. */
  anchor(): void {
    this.#options.outbox.anchor();
    this.#flush();
  }

  /** No new work from now on. */
  draining(): void {
    this.#draining = true;
    if (this.#session.name === 'live') this.#sendDraining();
  }

  /** Tells what is left and closes in order, so that the lease ends at once. Resolves when the socket is gone. */
  async leave(): Promise<void> {
    this.#flush();
    const socket = this.#socket;
    const closed = new Promise<void>((resolve) => {
      if (socket === null) resolve();
      else socket.once('close', () => resolve());
    });
    this.#happen({ kind: 'leave' });
    await Promise.race([closed, this.#wait(this.#options.limits.fleetLeaveMs)]);
    socket?.terminate();
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#options.timers.after(delayMs, resolve));
  }

  #happen(happening: Happening): void {
    const { clock, limits, random, timers } = this.#options;
    const moment = { nowMs: clock.nowMs(), random: random() };
    const [session, effects] = step(this.#session, happening, moment, limits);
    this.#session = session;
    for (const effect of effects) this.#perform(effect);
    this.#cancelTick();
    const wakeMs = wakeAtMs(this.#session, limits);
    if (wakeMs === null) return;
    const delayMs = Math.max(0, Math.ceil(wakeMs - clock.nowMs()));
    this.#cancelTick = timers.after(delayMs, () => this.#happen({ kind: 'tick' }));
  }

  #perform(effect: Effect): void {
    const { commands, log, outbox } = this.#options;
    switch (effect.do) {
      case 'dial':
        this.#dial();
        break;
      case 'register':
        this.#send({ case: 'register', value: this.#options.register });
        break;
      case 'hang-up':
        this.#hangUp(effect.inOrder);
        break;
      case 'heartbeat':
        this.#socket?.send(heartbeatFrame());
        break;
      case 'welcomed':
        log.info('registered', { routerBoot: effect.routerBoot });
        outbox.welcomed(effect);
        if (this.#draining) this.#sendDraining();
        commands.welcomed();
        this.changed();
        break;
      case 'retry':
        log.warn('the fleet socket is down', { reason: effect.reason, retryInMs: Math.round(effect.inMs) });
        break;
      case 'resend':
        if (effect.dpRank !== 0) break;
        if (outbox.rewind(effect.fromEventId)) this.#flush();
        else this.#sendDump();
        break;
      case 'dump':
        if (effect.dpRank === 0) this.#sendDump();
        break;
      case 'snapshot': {
        const dump = effect.dpRank === 0 ? this.#options.snapshotPiece(effect.piece) : null;
        if (dump) this.#send({ case: 'dump', value: dump });
        break;
      }
      case 'drain':
        commands.drain();
        break;
      case 'clear-kv':
        commands.clearKv();
        break;
      case 'give-up':
        commands.refused(effect.refusal);
        break;
    }
  }

  #dial(): void {
    const { limits, timers, tls, token, unreachable = () => {} } = this.#options;
    let url: string;
    try {
      url = this.#options.url();
    } catch (error) {
      // Not at once: what dials has not taken its turn to the end.
      timers.after(0, () => this.#happen({ kind: 'lost', reason: (error as Error).message }));
      return;
    }
    let opened = false;
    const socket = new WebSocket(url, FLEET_PROTOCOL, {
      ...tls,
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      maxPayload: limits.fleetFrameBytes,
      handshakeTimeout: limits.registerTimeoutMs,
    });
    this.#socket = socket;
    // A socket that was given up may still speak: only the current one is heard.
    const current = (happening: Happening): void => {
      if (this.#socket === socket) this.#happen(happening);
    };
    let trouble = 'the socket was closed';
    socket.on('open', () => {
      opened = true;
      current({ kind: 'opened' });
    });
    socket.on('ping', () => current({ kind: 'heard' }));
    socket.on('message', (data: Buffer) => this.#receive(socket, data));
    socket.on('error', (error) => {
      trouble = error.message || String((error as NodeJS.ErrnoException).code ?? error);
    });
    socket.on('unexpected-response', (_request, response) => {
      const code = response.headers['x-stator-code'];
      response.resume();
      current({
        kind: 'turned-away',
        refusal: upgradeRefusal(response.statusCode ?? 0, Array.isArray(code) ? code[0] : code),
      });
    });
    socket.on('close', () => {
      if (!opened) unreachable();
      current({ kind: 'lost', reason: trouble });
      if (this.#socket === socket) this.#socket = null;
    });
  }

  #receive(socket: WebSocket, data: Buffer): void {
    if (this.#socket !== socket) return;
    let frame: RouterFrame;
    try {
      frame = fromBinary(RouterFrameSchema, data);
    } catch (error) {
      this.#options.log.warn('a frame from the router cannot be read', { error: String(error) });
      this.#happen({ kind: 'heard' });
      return;
    }
    this.#happen({ kind: 'frame', frame });
  }

  #hangUp(inOrder: boolean): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    if (inOrder && socket.readyState === WebSocket.OPEN) socket.close(1000);
    else socket.terminate();
  }

  /** An engine may learn of an end a little later than the router did: then its last load is told, too. */
  #settle(): void {
    if (this.#settleDue) return;
    this.#settleDue = true;
    this.#options.timers.after(this.#options.limits.loadSettleMs, () => {
      this.#settleDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { limits, outbox } = this.#options;
    if (this.#session.name !== 'live' || this.#socket === null) return;
    if (this.#socket.bufferedAmount > limits.fleetFrameBytes) {
      this.changed();
      return;
    }
    const frames = outbox.frames();
    for (const frame of frames) this.#socket.send(frame);
    if (frames.length > 0) this.#settle();
  }

  #sendDump(): void {
    for (const dump of this.#options.dump()) this.#send({ case: 'dump', value: dump });
    this.#options.outbox.dumped();
  }

  #sendDraining(): void {
    this.#send({ case: 'draining', value: { $typeName: 'stator.v1.Draining' } });
  }

  #send(frame: WorkerFrame['frame']): void {
    this.#socket?.send(toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { frame })));
  }
}
