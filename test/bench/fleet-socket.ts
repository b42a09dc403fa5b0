/**
 * A worker on a real fleet socket, as cheap as it can be, so that one process can be a fleet of a thousand: frames are made
 * once and sent as they are. It registers, answers SendDump with its paths, and beats.
 */

import WebSocket from 'ws';
import { batchFrame, parseRouterFrame, registerFrame, workerFrame } from '../durable/router/fleet-worker.ts';
import { holdings, registration } from './router-workload.ts';

const DUMP_PATHS_PER_FRAME = 64;
const HEARTBEAT_MS = 2_000;
const BEAT = batchFrame({});

export class BenchWorker {
  nextEventId = 0;
  readonly #socket: WebSocket;
  readonly #paths: readonly Uint8Array[];
  #beat: NodeJS.Timeout | undefined;
  #answered: () => void = () => {};

  private constructor(socket: WebSocket, paths: readonly Uint8Array[]) {
    this.#socket = socket;
    this.#paths = paths;
  }

  /** Resolves when the router has all that the worker holds. */
  static async join(url: string, worker: number, blocks: number): Promise<BenchWorker> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/fleet/v1/default`, 'stator.fleet.v1', {
      perMessageDeflate: false,
    });
    const joined = new BenchWorker(socket, holdings(worker, blocks));
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const dumped = new Promise<void>((resolve) => {
      socket.on('message', (data: Buffer) => joined.#hear(data, resolve));
    });
    socket.send(
      registerFrame({
        ...registration(worker),
      }),
    );
    await dumped;
    await joined.settled();
    joined.#beat = setInterval(() => socket.send(BEAT), HEARTBEAT_MS);
    return joined;
  }

  /** Resolves when the router has handled everything sent so far: frames are handled in order, a heartbeat is answered. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#socket.send(BEAT);
    });
  }

  /** A frame of stored events, each a path of its own from the root. */
  events(paths: readonly Uint8Array[]): Uint8Array {
    return batchFrame({
      kvEvents: paths.map((hashes) => ({
        eventId: BigInt(this.nextEventId++),
        data: { case: 'stored', value: { blockHashes: hashes, tokensHashes: hashes } },
      })),
    });
  }

  send(frame: Uint8Array): void {
    this.#socket.send(frame);
  }

  leave(): void {
    clearInterval(this.#beat);
    this.#socket.close(1000);
  }

  #hear(data: Buffer, dumped: () => void): void {
    const frame = parseRouterFrame(data);
    if (frame.case === 'ack') this.#answered();
    else if (frame.case === 'sendDump') {
      this.#dump(frame.value.snapshotPiece);
      dumped();
    } else if (frame.case !== 'welcome') throw new Error(`the router says ${JSON.stringify(frame.value)}`);
  }

  /** All of it, or the one piece that it makes of a snapshot. */
  #dump(piece?: number): void {
    if (piece !== undefined && piece > 0) return;
    const snapshot = piece === undefined ? {} : { snapshotPiece: 0, lastEventId: BigInt(this.nextEventId) };
    for (let at = 0; at === 0 || at < this.#paths.length; at += DUMP_PATHS_PER_FRAME) {
      const stored = this.#paths
        .slice(at, at + DUMP_PATHS_PER_FRAME)
        .map((hashes) => ({ blockHashes: hashes, tokensHashes: hashes }));
      const last = at + DUMP_PATHS_PER_FRAME >= this.#paths.length;
      this.#socket.send(workerFrame({ case: 'dump', value: { first: at === 0, last, stored, ...snapshot } }));
    }
  }
}
