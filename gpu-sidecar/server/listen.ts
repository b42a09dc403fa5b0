/** The two listeners of a worker take their ports, or say in our words why they cannot. */

import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { FleetTls } from '../tls/fleet-tls.ts';

/** IPv6 addresses stand in brackets. */
export const hostPort = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The port. Throws `invalid_request`. */
export function listenHttp(server: HttpServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(error, host, port)));
    server.listen(port, host, 1024, () => resolve((server.address() as AddressInfo).port));
  });
}

/** The port. Throws `invalid_request`. */
export function listenGrpc(
  server: GrpcServer,
  { host, port, tls }: { host: string; port: number; tls: FleetTls | null },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(hostPort(host, port), grpcCredentials(tls), (error, bound) => {
      if (error) reject(cannotListen(error, host, port));
      else resolve(bound);
    });
  });
}

/** With TLS whoever comes must show a certificate of the fleet. */
function grpcCredentials(tls: FleetTls | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure();
  const own = { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) };
  return ServerCredentials.createSsl(Buffer.from(tls.ca), [own], true);
}

const cannotListen = (cause: Error, host: string, port: number): StatorError =>
  new StatorError('invalid_request', `cannot listen on ${host}:${port}: ${cause.message}`, { cause });
