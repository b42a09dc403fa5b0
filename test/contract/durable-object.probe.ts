/** An object that does whatever the contract suite asks of it, and the Worker around it that workerd wants. */

import { acceptSocket, DurableObject, hostOf } from '#platform';
import type { ServerSocket } from '../../durable/platform/socket.ts';

/** An error of a class that the caller does not have. */
class OddError extends Error {
  readonly code = 'odd';
}

export class Probe extends DurableObject {
  readonly #lives: Promise<number>;
  #memory = 0;
  #failures = 0;
  #sockets: ServerSocket[] = [];

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#lives = ctx.blockConcurrencyWhile(async () => {
      const lives = (((await ctx.storage.get('lives')) as number | undefined) ?? 0) + 1;
      await ctx.storage.put('lives', lives);
      return lives;
    });
  }

  /** How often it was constructed, what it remembers, and what is on its disk. */
  async add(amount: number): Promise<{ lives: number; memory: number; disk: number }> {
    this.#memory += amount;
    const disk = (((await this.ctx.storage.get('disk')) as number | undefined) ?? 0) + amount;
    await this.ctx.storage.put('disk', disk);
    return { lives: await this.#lives, memory: this.#memory, disk };
  }

  ownId(): string {
    return String(this.ctx.id);
  }

  fill(bytes: Uint8Array): Uint8Array {
    return bytes.fill(9);
  }

  echo(value: unknown): unknown {
    return value;
  }

  fail(): never {
    throw new OddError('as asked');
  }

  never(): Promise<void> {
    return new Promise(() => {});
  }

  /** Calls that overlap: the order in which each began and ended. */
  async overlap(name: string): Promise<string[]> {
    const log = ((await this.ctx.storage.get('log')) as string[] | undefined) ?? [];
    await this.ctx.storage.put('log', [...log, name]);
    return (await this.ctx.storage.get('log')) as string[];
  }

  async ring(dueMs: number, failures = 0): Promise<void> {
    this.#failures = failures;
    await this.ctx.storage.setAlarm(dueMs);
  }

  async unring(): Promise<void> {
    await this.ctx.storage.deleteAlarm();
  }

  /** Of each ring: whether it repeats one that failed. */
  async rings(): Promise<boolean[]> {
    return ((await this.ctx.storage.get('rings')) as boolean[] | undefined) ?? [];
  }

  override async alarm(info?: { isRetry: boolean }): Promise<void> {
    const rings = [...(await this.rings()), info?.isRetry ?? false];
    await this.ctx.storage.put('rings', rings);
    if (this.#failures-- > 0) throw new Error('not yet');
  }

  /** Writes to the disk later, unless it dies before. */
  later(delayMs: number): void {
    hostOf(this.ctx).after(delayMs, () => void this.ctx.storage.put('later', true));
  }

  async wasLater(): Promise<boolean> {
    return (await this.ctx.storage.get('later')) === true;
  }

  /** Echoes what comes; the text of a message that begins with 0 is the code to close with. */
  override fetch(request: Request): Response {
    if (request.headers.get('upgrade') !== 'websocket') return new Response('not a socket', { status: 400 });
    const { response, socket } = acceptSocket(this.ctx, 'probe');
    socket.addEventListener('message', ({ data }) => {
      const bytes = new Uint8Array(data as ArrayBuffer);
      if (bytes[0] === 0) socket.close(4000 + bytes[1]!, 'asked');
      else socket.send(bytes);
    });
    socket.addEventListener('close', ({ code }) => {
      void this.ctx.storage.put('closed', code);
      if (code === 1000) socket.close(1000, '');
    });
    this.#sockets.push(socket);
    return response;
  }

  /** Says something to everybody who is connected. */
  say(bytes: Uint8Array): number {
    for (const socket of this.#sockets) socket.send(bytes);
    return this.#sockets.length;
  }

  async closedWith(): Promise<unknown> {
    return this.ctx.storage.get('closed');
  }
}

export default { fetch: () => new Response('the contract suite', { status: 404 }) };
