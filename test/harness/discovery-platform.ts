/** The platform's side of discovery without workerd: its table and connections behind a WebSocket server, as the Directory object has them. */
import { WebSocketServer } from 'ws';
import { freePort } from '../../cli/launch/ports.ts';
import { DiscoveryConnection } from '../../durable/directory/discovery-connection.ts';
import { DiscoveryTable } from '../../durable/directory/discovery-table.ts';

export class DiscoveryPlatform {
  readonly url: string;
  readonly #port: number;
  readonly #leaseMs: number;
  table = new DiscoveryTable(Date.now());
  #boot = 0;
  #server: WebSocketServer | null = null;
  #timer: NodeJS.Timeout | null = null;

  private constructor(port: number, leaseMs: number) {
    this.#port = port;
    this.#leaseMs = leaseMs;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(leaseMs: number): Promise<DiscoveryPlatform> {
    const platform = new DiscoveryPlatform(await freePort(), leaseMs);
    await platform.up();
    return platform;
  }

  /** It has forgotten everything. */
  async up(): Promise<void> {
    this.table = new DiscoveryTable(Date.now());
    const boot = ++this.#boot;
    const connections = new Set<DiscoveryConnection>();
    const server = new WebSocketServer({ host: '127.0.0.1', port: this.#port });
    this.#server = server;
    await new Promise((resolve) => server.once('listening', resolve));
    const common = { table: this.table, boot, leaseMs: this.#leaseMs, mayPut: true };
    let sockets = 0;
    server.on('connection', (socket) => {
      const end = { send: (text: string) => socket.send(text), close: () => socket.close() };
      const owner = `socket:${sockets++}`;
      const connection = new DiscoveryConnection({ ...common, owner, socket: end, nowMs: Date.now() });
      connections.add(connection);
      socket.on('message', (data, binary) => connection.receive(binary ? data : String(data), Date.now()));
      socket.on('close', () => {
        connections.delete(connection);
        connection.closed();
      });
    });
    this.#timer = setInterval(() => {
      for (const connection of connections) connection.tick(Date.now());
    }, this.#leaseMs / 4);
  }

  async down(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const socket of this.#server?.clients ?? []) socket.terminate();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
}
