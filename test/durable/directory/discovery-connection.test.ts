/** The platform's end of a discovery socket: what strangers send, whose keys are whose, and when a silent one is let go. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DiscoveryConnection } from '../../../durable/directory/discovery-connection.ts';
import { DiscoveryTable } from '../../../durable/directory/discovery-table.ts';
import { discoveryAnswer } from '../../../durable/runtime/discovery-frames.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';

const LEASE_MS = 10_000;

function world() {
  const table = new DiscoveryTable(1);
  let sockets = 0;
  const open = (mayPut = true) => {
    const said: Record<string, unknown>[] = [];
    const closed: number[] = [];
    const socket = {
      send: (text: string) =>
        void said.push(discoveryAnswer.parse(JSON.parse(text)) as Record<string, unknown>),
      close: (code: number) => void closed.push(code),
    };
    const owner = `socket:${sockets++}`;
    const connection = new DiscoveryConnection({
      table,
      socket,
      owner,
      mayPut,
      boot: 1,
      leaseMs: LEASE_MS,
      nowMs: 0,
    });
    const tell = (frame: object, nowMs = 0) => connection.receive(JSON.stringify(frame), nowMs);
    return { connection, said, closed, tell };
  };
  return { table, open };
}

test('what one puts another sees, until it leaves', () => {
  const { table, open } = world();
  const [worker, watcher] = [open(), open(false)];
  watcher.tell({ watch: 'v1/', id: 7 });
  worker.tell({ put: { key: 'v1/a', value: '1' }, id: 1 });
  worker.connection.closed();
  expect(worker.said).toContainEqual({ done: 1 });
  expect(watcher.said.slice(1)).toEqual([
    { synced: 7 },
    { changes: [{ kind: 'added', key: 'v1/a', value: '1' }], id: 7 },
    { changes: [{ kind: 'removed', key: 'v1/a' }], id: 7 },
  ]);
  expect(table.list('')).toEqual([]);
});

test('a process that came back on a new socket keeps its keys when the old one ends', () => {
  const { table, open } = world();
  const [before, after] = [open(), open()];
  before.tell({ put: { key: 'a', value: '1' }, id: 1 });
  after.tell({ put: { key: 'a', value: '1' }, id: 1 });
  before.tell({ delete: 'a', id: 2 });
  before.connection.closed();
  expect(table.list('')).toEqual([{ key: 'a', value: '1' }]);
});

test('who only watches puts nothing and need not speak; a worker that is silent loses its lease', () => {
  const { table, open } = world();
  const [worker, watcher] = [open(), open(false)];
  watcher.tell({ put: { key: 'a', value: '1' }, id: 3 });
  expect(watcher.said.at(-1)).toMatchObject({ failed: 3, code: 'permission_denied' });
  worker.tell({ put: { key: 'a', value: '1' }, id: 1 }, 1_000);
  for (const each of [worker, watcher]) each.connection.tick(LEASE_MS + 1_000);
  expect(table.list('')).toHaveLength(1);
  for (const each of [worker, watcher]) each.connection.tick(LEASE_MS + 1_001);
  expect([worker.closed, watcher.closed]).toEqual([[4002], []]);
  expect(table.list('')).toEqual([]);
});

test('no frame whatsoever throws: it is answered, or ends the connection and all that it put', () => {
  const frame = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array(),
    fc.constantFrom(
      '{"watch":"","id":1}',
      '{"unwatch":1}',
      '{"beat":true}',
      '{"put":{"key":"k","value":"v"},"id":-1}',
    ),
    fc
      .record({ put: fc.record({ key: fc.string(), value: fc.string() }), id: fc.nat() })
      .map((put) => JSON.stringify(put)),
  );
  fc.assert(
    fc.property(fc.array(frame), (frames) => {
      const { table, open } = world();
      const { connection, closed } = open();
      for (const each of frames) connection.receive(each, 0);
      if (closed.length > 0) expect(table.list('')).toEqual([]);
      connection.closed();
      expect(table.list('')).toEqual([]);
    }),
  );
});

test('values and keys have bounds, and so have watches', () => {
  const { open } = world();
  const { tell, said, closed } = open();
  tell({ put: { key: 'k'.repeat(LIMITS.discoveryKeyLength + 1), value: '' }, id: 1 });
  expect(said.at(-1)).toMatchObject({ failed: 1, code: 'invalid_request' });
  tell({ watch: '', id: 2 });
  tell({ watch: '', id: 2 });
  expect(closed).toEqual([4000]);
});
