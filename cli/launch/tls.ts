/**
 * TLS of a deployment: what its HTTP side shows to clients, what it shows to its fleet, and at which address launcher and
 * workers reach the platform. That address is the public one, but where TLS is on it is one of their own: the public
 * certificate is for names that need not lead here, and clients' certificates are none of a fleet.
 */

import { isIP } from 'node:net';
import { flagName, type SettingName, type Settings } from '../../durable/runtime/config.ts';
import { type FleetTls, fleetTls } from '../../gpu-sidecar/tls/fleet-tls.ts';
import { type Fetch, tlsFetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { readAuthorities, readTls, type TlsFiles } from '../../gpu-sidecar/tls/tls-files.ts';
import { freePort } from './ports.ts';

export interface DeploymentTls {
  /** Null: plain HTTP. `ca` is whose certificates clients must show, or null. */
  http: TlsFiles | null;
  fleet: FleetTls | null;
}

/** Where the platform is for those who belong to it, and the files that it wants to see; null: none. */
export interface Control {
  url: string;
  tls: ControlFiles | null;
}

interface ControlFiles {
  /** Empty, and so is `key`: none is shown. */
  cert: string;
  key: string;
  /** Empty: the authorities that Node trusts. */
  ca: string;
  /** The options of a command named them, and not a deployment that runs here. */
  ownsFlags?: boolean;
}

const flag = (name: SettingName): string => `--${flagName(name)}`;
const hostOf = (address: string): string =>
  address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');

/** Reads and checks the files. Throws StatorError `invalid_request` naming flag and file. */
export function deploymentTls(settings: Settings, nowMs: number): DeploymentTls {
  const { fleetListen, host, tlsCert: cert, tlsClientCa: ca, tlsKey: key } = settings;
  const label = (file: 'cert' | 'key' | 'ca') =>
    flag(({ cert: 'tlsCert', key: 'tlsKey', ca: 'tlsClientCa' } as const)[file]);
  // Clients come by a name; which address listens for it says nothing.
  const hosts = isIP(host) === 0 ? [host] : [];
  return {
    http: cert === '' ? null : readTls({ cert, key, ca, label }, { hosts, signedByCa: false, nowMs }),
    fleet: fleetTls(settings, { hosts: [hostOf(fleetListen)].filter(Boolean), label: flag, nowMs }),
  };
}

/** The settings with an address for the fleet, where it needs one of its own and nobody named it. */
export async function withFleetListen(settings: Settings): Promise<Settings> {
  const { fleetListen, fleetTlsCert, tlsCert } = settings;
  if (fleetListen !== '' || (fleetTlsCert === '' && tlsCert === '')) return settings;
  return { ...settings, fleetListen: `127.0.0.1:${await freePort()}` };
}

/** `url`: of the HTTP side. */
export function controlOf(settings: Settings, url: string): Control {
  const { fleetListen, fleetTlsCa: ca, fleetTlsCert: cert, fleetTlsKey: key } = settings;
  if (fleetListen === '') return { url, tls: null };
  const address = fleetListen.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
  return cert === ''
    ? { url: `http://${address}`, tls: null }
    : { url: `https://${address}`, tls: { cert, key, ca } };
}

/** Throws StatorError `invalid_request` when a file is gone, or is none. */
export function controlFetch(control: Control): Fetch {
  const files = controlTls(control);
  return files === null ? fetch : tlsFetch(files);
}

/** What to show and whom to trust there; null: nothing. Throws like `controlFetch`. */
export function controlTls({ tls }: Control): TlsFiles | null {
  if (tls === null) return null;
  const label = (file: keyof typeof FLAGS) =>
    tls.ownsFlags ? FLAGS[file] : `the running deployment's fleet ${file}`;
  if (tls.cert === '') return { cert: '', key: '', ca: readAuthorities(tls.ca, label('ca')) };
  return readTls({ ...tls, label }, { hosts: [], signedByCa: false, nowMs: Date.now() });
}

const FLAGS = { cert: '--tls-client-cert', key: '--tls-client-key', ca: '--tls-ca' } as const;
