/**
 * The way in for Node processes that serve nothing themselves: clients of any endpoint, found by discovery.
 *
 *     const stator = connect({ discovery: 'object:http://127.0.0.1:8787', fleetToken });
 *     const hello = stator.client('dyn://default.greeter.hello');
 *     await hello.roundRobin({ name: 'World' });
 *     await stator.close();
 */

import { wallClock } from '../../durable/runtime/clock.ts';
import { parseEndpointName } from '../../durable/runtime/instance.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { Logger } from '../../durable/runtime/log.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { openDiscovery } from '../discovery/registry.ts';
import { systemTimers } from '../timers.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';
import { tlsFetch } from '../tls/tls-fetch.ts';
import { EndpointClient } from './endpoint-client.ts';

export interface ConnectOptions {
  /** `object:http://PLATFORM`, `etcd:http://HOST:2379`, `file:DIRECTORY`, … */
  discovery: string;
  fleetToken: string;
  tls?: FleetTls | null;
  log?: Logger;
}

export interface Connection {
  readonly discovery: Discovery;
  client(address: string): EndpointClient;
  close(): Promise<void>;
}

/** Throws `invalid_request` for a discovery that cannot be one. */
export function connect({ discovery: setting, fleetToken, tls = null, log }: ConnectOptions): Connection {
  const discovery = openDiscovery(setting, {
    leaseMs: LIMITS.leaseMs,
    fleetToken,
    tls,
    clock: wallClock,
    timers: systemTimers,
    random: Math.random,
    log: log ?? new Logger({ component: 'discovery', level: 'warn', write: (line) => console.error(line) }),
  });
  const fetcher = tls === null ? fetch : tlsFetch(tls);
  return {
    discovery,
    client: (address) =>
      new EndpointClient(parseEndpointName(address), { discovery, fleetToken, fetcher, random: Math.random }),
    close: () => discovery.close(),
  };
}
