/**
 * What the planner relies on in a connector, whatever it drives. `world` is a connector on a fleet of its own, with roles
 * `worker`, and hands to move it: `execute` does what was ordered, `fail` says that it cannot be done.
 */

import { expect, test } from 'vitest';
import type { Connector } from '../../durable/planner/connectors/connector.ts';
import { type Fleet, settledCounts } from '../../durable/planner/fleet.ts';

export interface ConnectorWorld {
  connector: Connector;
  /** What the Router object knows now. */
  registered(): Fleet;
  /** The newest order comes about: its workers are ready, those beyond it gone. */
  execute(): Promise<void>;
  /** The newest order cannot be executed. */
  fail(why: string): Promise<void>;
  /** The connector after a restart of the platform. */
  reopened(): Connector;
}

export function connectorContract(world: () => Promise<ConnectorWorld>): void {
  test('before the first order nothing is under way, and the fleet is what has registered', async () => {
    const { connector, registered } = await world();
    expect(await connector.progress()).toEqual({ kind: 'none' });
    expect((await connector.fleet(registered())).worker).toEqual(registered().worker);
  });

  test('an order is pending until it is executed, and counts as ordered all the while', async () => {
    const { connector, registered, execute } = await world();
    await connector.order({ id: 1, counts: { worker: 3 } });
    expect(await connector.progress()).toEqual({ kind: 'pending' });
    expect(settledCounts(await connector.fleet(registered())).worker).toBe(3);
    await execute();
    expect(await connector.progress()).toEqual({ kind: 'done' });
    expect((await connector.fleet(registered())).worker).toEqual({ ready: 3, starting: 0, draining: 0 });
  });

  test('an order for fewer workers is executed, down to none', async () => {
    const { connector, registered, execute } = await world();
    await connector.order({ id: 1, counts: { worker: 2 } });
    await execute();
    await connector.order({ id: 2, counts: { worker: 0 } });
    await execute();
    expect(await connector.progress()).toEqual({ kind: 'done' });
    expect(settledCounts(await connector.fleet(registered())).worker).toBe(0);
  });

  test('the same order again changes nothing, also when it has been executed', async () => {
    const { connector, registered, execute } = await world();
    await connector.order({ id: 1, counts: { worker: 2 } });
    await connector.order({ id: 1, counts: { worker: 2 } });
    await execute();
    await connector.order({ id: 1, counts: { worker: 2 } });
    expect(await connector.progress()).toEqual({ kind: 'done' });
    expect(settledCounts(await connector.fleet(registered())).worker).toBe(2);
  });

  test('a later order replaces one that is under way, and an older one that comes late does not', async () => {
    const { connector, registered, execute } = await world();
    await connector.order({ id: 1, counts: { worker: 4 } });
    await connector.order({ id: 2, counts: { worker: 1 } });
    await connector.order({ id: 1, counts: { worker: 4 } });
    await execute();
    expect(await connector.progress()).toEqual({ kind: 'done' });
    expect(settledCounts(await connector.fleet(registered())).worker).toBe(1);
  });

  test('a failure is told with its reason, and the next order begins anew', async () => {
    const { connector, registered, execute, fail } = await world();
    await connector.order({ id: 1, counts: { worker: 2 } });
    await fail('no room');
    const progress = await connector.progress();
    expect(progress).toMatchObject({ kind: 'failed', why: expect.stringContaining('no room') });
    await connector.order({ id: 2, counts: { worker: 1 } });
    expect(await connector.progress()).toEqual({ kind: 'pending' });
    await execute();
    expect(settledCounts(await connector.fleet(registered())).worker).toBe(1);
  });

  test('an order outlives a restart of the platform', async () => {
    const { connector, reopened, registered, execute } = await world();
    await connector.order({ id: 1, counts: { worker: 2 } });
    const after = reopened();
    expect(await after.progress()).toEqual({ kind: 'pending' });
    await execute();
    expect(await after.progress()).toEqual({ kind: 'done' });
    expect(settledCounts(await after.fleet(registered())).worker).toBe(2);
  });
}
