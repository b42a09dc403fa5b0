/** A worker's own certificate: read from its environment, checked against the address at which it will be called. */

import { expect, test } from 'vitest';
import { resolveSettings, settingsToEnv } from '../../../durable/runtime/config.ts';
import { fleetUrl, sidecarSettings } from '../../../gpu-sidecar/settings.ts';
import { certificateAuthority } from '../../harness/certificate-files.ts';

const authority = certificateAuthority('worker');
const { ca, cert, key, pem } = authority.issue(['10.0.0.7', 'worker.example']);
const env = (more: Record<string, string>) => ({
  ...settingsToEnv({ ...resolveSettings([]), fleetToken: 'token' }),
  STATOR_PLATFORM_URL: 'https://platform.example:9443',
  ...more,
});
const files = { STATOR_FLEET_TLS_CERT: cert, STATOR_FLEET_TLS_KEY: key, STATOR_FLEET_TLS_CA: ca };

test('without files there is no TLS', () => {
  expect(sidecarSettings(env({})).tls).toBeNull();
});

test('with files it dials wss and shows its certificate', () => {
  const settings = sidecarSettings(env({ ...files, STATOR_SIDECAR_HOST: '10.0.0.7' }));
  expect(settings.tls).toEqual(pem);
  expect(fleetUrl(settings.platformUrl!, 'default')).toBe('wss://platform.example:9443/fleet/v1/default');
});

test('a certificate for another address is refused by the name of its variable', () => {
  expect(() => sidecarSettings(env({ ...files, STATOR_SIDECAR_HOST: '10.0.0.8' }))).toThrow(
    `STATOR_FLEET_TLS_CERT: ${cert} is for 10.0.0.7, worker.example, not for 10.0.0.8`,
  );
});
