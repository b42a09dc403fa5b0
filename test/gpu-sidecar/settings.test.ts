/** What a worker refuses to start with. */

import { expect, test } from 'vitest';
import { sidecarSettings } from '../../gpu-sidecar/settings.ts';

const FLEET = { STATOR_FLEET_TOKEN: 'token' };

test.each([
  ['STATOR_KVBM_HOST_CACHE_GB', '4'],
  ['STATOR_KVBM_DISK_CACHE_BLOCKS', '1000'],
  ['STATOR_KVBM_OBJECT_STORE', '/mnt/kv'],
  ['STATOR_PLATFORM_URL', 'ftp://here'],
  ['STATOR_SIDECAR_PORT', '70000'],
])('%s=%s is named', (name, value) => {
  expect(() => sidecarSettings({ ...FLEET, STATOR_ENGINE: 'mock', [name]: value })).toThrow(name);
});

test('the llama engine has KV memory', () => {
  const { settings } = sidecarSettings({ ...FLEET, STATOR_KVBM_HOST_CACHE_GB: '4' });
  expect(settings).toMatchObject({ engine: 'llama', kvbmHostCacheGb: 4 });
});

test('no worker without the fleet token', () => {
  expect(() => sidecarSettings({})).toThrow('STATOR_FLEET_TOKEN');
  expect(sidecarSettings(FLEET)).toMatchObject({ httpPort: 0, parentStdin: false });
});
