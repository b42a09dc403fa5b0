/** What of the NATS client this object calls, in one piece that is loaded by the first request. */

export { createInbox, headers } from '@nats-io/nats-core';
export { natsOptions } from '../runtime/nats/nats-options.ts';
