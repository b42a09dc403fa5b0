/**
 * A platform in discovery, so that workers that were told no address find it: `v1/stator/platforms/<id>` → {"url":…}. The launcher
 * holds the lease, because isolates cannot; so a platform counts as there while its launcher lives.
 */

import { wallClock } from '../../durable/runtime/clock.ts';
import type { Settings } from '../../durable/runtime/config.ts';
import { IdSource } from '../../durable/runtime/ids.ts';
import { PLATFORMS_PREFIX } from '../../durable/runtime/instance.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';

/** Resolves when others can see it; the result takes it back. Throws `worker_unavailable` when discovery does not answer. */
export async function announcePlatform(settings: Settings, url: string): Promise<() => Promise<void>> {
  const { discovery: setting, discoveryAddress, fleetToken, leaseMs, logLevel, namespace } = settings;
  if (setting === 'object') return async () => {};
  const log = new Logger({ component: 'discovery', level: logLevel, write: (line) => console.error(line) });
  const given = { leaseMs, fleetToken, tls: null, clock: wallClock, timers: systemTimers };
  const discovery = openDiscovery(setting, { ...given, random: Math.random, log });
  const record = { url: discoveryAddress || url, namespace };
  try {
    await discovery.put(PLATFORMS_PREFIX + new IdSource().instanceId(), JSON.stringify(record));
  } catch (thrown) {
    await discovery.close();
    throw thrown;
  }
  return () => discovery.close();
}
