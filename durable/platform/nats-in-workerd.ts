/** Connections to NATS from inside workerd. Loaded by whoever wants one: nothing of it is in a request's way. */

import type { ConnectionOptions, NatsConnection } from '@nats-io/nats-core';
import { NatsConnectionImpl, setTransportFactory } from '@nats-io/nats-core/internal';
import { TcpTransport } from './tcp-transport.ts';

export function openNats(options: ConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new TcpTransport() });
  return NatsConnectionImpl.connect(options);
}
