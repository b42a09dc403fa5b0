/**
 * Writes the workerd configuration from wrangler.toml, so that the deployment file stays the one description:
 * modules, objects, flags and date come from it, settings become text bindings.
 *
 * The Router object is never evicted: its index lives in memory. The network service allows private and local
 * addresses, because that is where workers are (workerd's default would refuse them). Pools elsewhere are called through a service
 * of their own, which trusts public authorities and shows nobody the fleet's certificate.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import * as z from 'zod';
import type { TlsFiles } from '../../gpu-sidecar/tls/tls-files.ts';
import { PROJECT_ROOT } from '../paths.ts';
import type { KubernetesServices } from './kubernetes.ts';
import type { DeploymentTls } from './tls.ts';

const wranglerSchema = z.object({
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).default([]),
  durable_objects: z.object({
    bindings: z.array(z.object({ name: z.string(), class_name: z.string() })),
  }),
});

export interface WorkerdConfigInput {
  /** Folder of the bundle as seen from the configuration file (workerd embeds relative to it). */
  bundle: string;
  /** The same folder, absolute: index.js and *.wasm. */
  bundleFiles: string;
  /** Existing folder for the objects' SQLite files. */
  storage: string;
  /** `host:port` to listen on; ignored when workerd is given a socket by `--socket-fd`. */
  listen: string;
  /** Further `host:port`. */
  alsoListen: readonly string[];
  /** `host:port` for workers; empty: none of their own. */
  fleetListen: string;
  tls: DeploymentTls;
  /** Null: nothing of it. */
  kubernetes: KubernetesServices | null;
  /** Text bindings. */
  env: Readonly<Record<string, string>>;
}

/**
 * Young objects of a request die with it. V8's default nursery (1 MB, growing) promotes more of them, and its small first
 * old space is full after seconds: then a full collection stops everything for 90 to 270 ms while workerd's C++ wrappers
 * are swept. These two make that rare and short, for 180 MB of memory (docs/decisions/0003).
 */
const V8_FLAGS = ['--min-semi-space-size=16', '--initial-old-space-size=64'];

const quote = (text: string) =>
  JSON.stringify(text.toWellFormed()).replace(/\\(u00|.)/g, (written, kind) =>
    kind === 'u00' ? '\\x' : written,
  );

export function workerdConfig(input: WorkerdConfigInput): string {
  const wrangler = wranglerSchema.parse(parse(readFileSync(join(PROJECT_ROOT, 'wrangler.toml'), 'utf8')));
  const objects = wrangler.durable_objects.bindings;
  const modules = readdirSync(input.bundleFiles)
    .filter((name) => name.endsWith('.js') || name.endsWith('.wasm'))
    .sort((a, b) => Number(b === 'index.js') - Number(a === 'index.js') || a.localeCompare(b))
    .map((name) => {
      const kind = name.endsWith('.wasm') ? 'wasm' : 'esModule';
      return `        (name = ${quote(name)}, ${kind} = embed ${quote(join(input.bundle, name))})`;
    });
  const bindings = [
    ...objects.map(
      (object) =>
        `        (name = ${quote(object.name)}, durableObjectNamespace = ${quote(object.class_name)})`,
    ),
    ...Object.entries(input.env).map(
      ([name, text]) => `        (name = ${quote(name)}, text = ${quote(text)})`,
    ),
    '        (name = "INTERNET", service = "internet")',
    ...Object.entries(input.kubernetes === null ? {} : KUBERNETES_SERVICES).map(
      ([name, service]) => `        (name = ${quote(name)}, service = ${quote(service)})`,
    ),
  ];
  const namespaces = objects.map(
    ({ class_name }) =>
      `        (className = ${quote(class_name)}, uniqueKey = ${quote(`stator-${class_name.toLowerCase()}`)}, ` +
      'enableSql = true, preventEviction = true)',
  );
  const { fleet, http } = input.tls;
  const sockets = [input.listen, ...input.alsoListen].map((address, index) =>
    socket(index === 0 ? 'http' : `http-${index}`, address, http),
  );
  if (input.fleetListen !== '') sockets.push(socket('fleet', input.fleetListen, fleet));
  const outbound = fleet === null ? '' : `, tlsOptions = ${tlsOptions(fleet)}`;
  const kubernetes = input.kubernetes === null ? '' : servicesFor(input.kubernetes);
  return `# Written by \`stator up\` from wrangler.toml; changes here are lost.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "platform", worker = (
      modules = [
${modules.join(',\n')}
      ],
      compatibilityDate = ${quote(wrangler.compatibility_date)},
      compatibilityFlags = [${wrangler.compatibility_flags.map(quote).join(', ')}],
      bindings = [
${bindings.join(',\n')}
      ],
      durableObjectNamespaces = [
${namespaces.join(',\n')}
      ],
      durableObjectStorage = (localDisk = "storage"),
      globalOutbound = "network"
    )),
    (name = "storage", disk = (path = ${quote(input.storage)}, writable = true)),
    (name = "network", network = (allow = ["public", "private", "local"]${outbound})),
    (name = "internet", network = (allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true)))${kubernetes}
  ],
  v8Flags = [${V8_FLAGS.map(quote).join(', ')}],
  sockets = [
${sockets.join(',\n')}
  ]
);
`;
}

function socket(name: string, address: string, tls: TlsFiles | null): string {
  const protocol = tls === null ? 'http = ()' : `https = (options = (), tlsOptions = ${tlsOptions(tls)})`;
  return `    (name = ${quote(name)}, address = ${quote(address)}, ${protocol}, service = "platform")`;
}

/** Binding → service. */
const KUBERNETES_SERVICES = { KUBERNETES: 'kubernetes', KUBERNETES_ACCOUNT: 'kubernetes-account' };

/** The API server, whose authority is trusted for it alone, and the folder with the token. */
function servicesFor({ account, address, tls }: KubernetesServices): string {
  const options =
    tls === null
      ? 'http = ()'
      : `https = (options = (), certificateHost = ${quote(tls.certificateHost)}, ` +
        `tlsOptions = (trustedCertificates = [${quote(tls.ca)}]))`;
  return `,
    (name = "kubernetes", external = (address = ${quote(address)}, ${options})),
    (name = "kubernetes-account", disk = (path = ${quote(account)}))`;
}

/** As a server: whoever comes must show a certificate of `ca`, where there is one. As a client: trusts `ca`, shows its own. */
function tlsOptions({ ca, cert, key }: TlsFiles): string {
  const keypair = `keypair = (privateKey = ${quote(key)}, certificateChain = ${quote(cert)})`;
  const trust = ca === null ? '' : `, requireClientCerts = true, trustedCertificates = [${quote(ca)}]`;
  return `(${keypair}${trust})`;
}
