/** How a worker calls another over gRPC: with fleet TLS it shows its certificate and believes the fleet's authority alone. */

import { ChannelCredentials } from '@grpc/grpc-js';
import type { FleetTls } from './fleet-tls.ts';

export function channelCredentials(tls: FleetTls | null): ChannelCredentials {
  if (tls === null) return ChannelCredentials.createInsecure();
  return ChannelCredentials.createSsl(Buffer.from(tls.ca), Buffer.from(tls.key), Buffer.from(tls.cert));
}
