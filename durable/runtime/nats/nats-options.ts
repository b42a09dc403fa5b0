/**
 * What the settings say of the NATS servers: addresses and who we are there. Names and secrets come in the URL
 * (`nats://user:password@host:4222`, `nats://token@host`) or as the text of a credentials file. Throws `invalid_request`.
 */

import type { ConnectionOptions } from '@nats-io/nats-core';
import { credsAuthenticator } from '@nats-io/nats-core/internal';
import type { Settings } from '../config.ts';
import { StatorError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

const SCHEMES = ['nats:', 'tls:'];

export function natsOptions(
  { natsUrl, natsCreds }: Pick<Settings, 'natsUrl' | 'natsCreds'>,
  name: string,
): ConnectionOptions {
  const urls = natsUrl.split(',').map(address);
  const [first] = urls;
  if (!first) throw invalid(`${natsUrl} is no URL`);
  const options: ConnectionOptions = {
    servers: urls.map((url) => `${url.protocol}//${url.host}`),
    name,
    timeout: LIMITS.natsConnectMs,
    pingInterval: LIMITS.natsPingMs,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: LIMITS.natsReconnectMs,
    reconnectJitter: LIMITS.natsReconnectMs / 2,
    // It tries again by itself what may be a server that is being set up.
    ignoreAuthErrorAbort: true,
  };
  const user = decodeURIComponent(first.username);
  const password = decodeURIComponent(first.password);
  if (natsCreds !== '') options.authenticator = credsAuthenticator(new TextEncoder().encode(natsCreds));
  else if (password !== '') Object.assign(options, { user, pass: password });
  else if (user !== '') options.token = user;
  return options;
}

function address(text: string): URL {
  const url = URL.parse(text.trim());
  if (!url || !SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw invalid('wants nats://host:port or tls://host:port, several with commas between them');
  }
  return url;
}

const invalid = (reason: string) =>
  new StatorError('invalid_request', `nats_url: ${reason}`, { param: 'natsUrl' });
