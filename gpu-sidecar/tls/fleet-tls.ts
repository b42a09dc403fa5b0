/**
 * TLS between the planes, where `fleet_tls_cert` is set: platform and workers show each other certificates of the fleet's
 * own authority, each as client and as server, and talk to nobody who has none. The fleet token stays as it is.
 */

import type { SettingName, Settings } from '../../durable/runtime/config.ts';
import { readTls, type TlsFiles } from './tls-files.ts';

/** With an authority, always. */
export type FleetTls = TlsFiles & { ca: string };

const SETTING = { cert: 'fleetTlsCert', key: 'fleetTlsKey', ca: 'fleetTlsCa' } as const;

/** Null where the planes talk without. `hosts`: where this process will be dialled. Throws StatorError `invalid_request`. */
export function fleetTls(
  settings: Settings,
  { hosts, label, nowMs }: { hosts: readonly string[]; label: (name: SettingName) => string; nowMs: number },
): FleetTls | null {
  if (settings.fleetTlsCert === '') return null;
  const { fleetTlsCa: ca, fleetTlsCert: cert, fleetTlsKey: key } = settings;
  const files = readTls(
    { cert, key, ca, label: (file) => label(SETTING[file]) },
    { hosts, signedByCa: true, nowMs },
  );
  return { ...files, ca: files.ca as string };
}
