/** Does workerd's configuration say what wrangler.toml and the settings say, whatever characters are in them? */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { afterAll, describe, expect, test } from 'vitest';
import type { KubernetesServices } from '../../../cli/launch/kubernetes.ts';
import type { DeploymentTls } from '../../../cli/launch/tls.ts';
import { workerdConfig } from '../../../cli/launch/workerd-config.ts';
import { PROJECT_ROOT, workerdBinary } from '../../../cli/paths.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bundleFiles = join(folder, 'bundle');
mkdirSync(bundleFiles);
for (const name of ['a.wasm', 'chunk.js', 'index.js', 'index.js.map', 'README.md']) {
  writeFileSync(join(bundleFiles, name), name);
}

const noTls: DeploymentTls = { http: null, fleet: null };
const config = (
  env: Record<string, string> = {},
  tls = noTls,
  fleetListen = '',
  kubernetes: KubernetesServices | null = null,
) =>
  workerdConfig({
    bundle: 'bundle',
    bundleFiles,
    storage: join(folder, 'objects'),
    listen: '127.0.0.1:9000',
    alsoListen: ['127.0.0.1:9001', '[::1]:9002'],
    fleetListen,
    tls,
    kubernetes,
    env,
  });

const wrangler = parse(readFileSync(join(PROJECT_ROOT, 'wrangler.toml'), 'utf8')) as {
  compatibility_date: string;
  compatibility_flags: string[];
  durable_objects: { bindings: { name: string; class_name: string }[] };
};

describe('the configuration', () => {
  test('has the date, the flags and the objects of wrangler.toml', () => {
    const text = config();
    expect(text).toContain(`compatibilityDate = "${wrangler.compatibility_date}"`);
    for (const flag of wrangler.compatibility_flags) expect(text).toContain(`"${flag}"`);
    expect(wrangler.durable_objects.bindings.length).toBeGreaterThan(1);
    for (const { name, class_name } of wrangler.durable_objects.bindings) {
      expect(text).toContain(`(name = "${name}", durableObjectNamespace = "${class_name}")`);
      expect(text).toMatch(
        new RegExp(`className = "${class_name}".*enableSql = true, preventEviction = true`),
      );
    }
  });

  test('embeds scripts and wasm, index.js first, and nothing else', () => {
    const modules = [...config().matchAll(/\(name = "([^"]+)", (\w+) = embed "([^"]+)"\)/g)];
    expect(modules.map((match) => match.slice(1))).toEqual([
      ['index.js', 'esModule', 'bundle/index.js'],
      ['a.wasm', 'wasm', 'bundle/a.wasm'],
      ['chunk.js', 'esModule', 'bundle/chunk.js'],
    ]);
  });

  test('listens where it is told and stores where it is told', () => {
    expect(config()).toContain('address = "127.0.0.1:9000"');
    expect(config()).toContain(`path = "${join(folder, 'objects')}"`);
  });

  test('with TLS: https on the addresses for clients, certificates wanted where they are, the fleet apart', () => {
    const http = { cert: 'public cert', key: 'public key', ca: null };
    const fleet = { cert: 'fleet cert', key: 'fleet key', ca: 'fleet ca' };
    const lines = (text: string, part: string) => text.split('\n').filter((line) => line.includes(part));
    const text = config({}, { http, fleet }, '127.0.0.1:9003');
    expect(lines(text, 'name = "http')).toHaveLength(3);
    for (const line of lines(text, 'name = "http')) {
      expect(line).toContain('https = (options = (), tlsOptions = (keypair = (privateKey = "public key"');
      expect(line).not.toContain('requireClientCerts');
    }
    const ofFleet = 'requireClientCerts = true, trustedCertificates = ["fleet ca"]';
    expect(lines(text, 'name = "fleet"')).toEqual([expect.stringContaining(ofFleet)]);
    expect(lines(text, 'name = "network"')).toEqual([
      expect.stringContaining('trustedCertificates = ["fleet ca"]'),
    ]);
    const file = join(folder, 'tls.capnp');
    writeFileSync(file, text);
    expect(spawnSync(workerdBinary(), ['compile', '--config-only', file]).stderr.toString()).toBe('');
    const plainFleet = config({}, { http, fleet: null }, '127.0.0.1:9003');
    expect(lines(plainFleet, 'name = "fleet"')).toEqual([expect.stringContaining('http = ()')]);
  });

  test('with Kubernetes: its server, trusted by its own authority alone, and the folder with the token', () => {
    const account = '/var/run/account';
    const tls = { ca: 'cluster ca', certificateHost: 'kubernetes.default.svc' };
    const text = config({}, noTls, '', { address: '10.0.0.1:443', tls, account });
    expect(text).toContain('(name = "KUBERNETES", service = "kubernetes")');
    expect(text).toContain(`(name = "kubernetes-account", disk = (path = "${account}"))`);
    expect(text.split('\n').filter((line) => line.includes('cluster ca'))).toEqual([
      expect.stringContaining('external = (address = "10.0.0.1:443", https = (options = (), certificateHost'),
    ]);
    const file = join(folder, 'kubernetes.capnp');
    writeFileSync(file, text);
    expect(spawnSync(workerdBinary(), ['compile', '--config-only', file]).stderr.toString()).toBe('');
    expect(config()).not.toContain('KUBERNETES');
  });

  test('is read by workerd with every text as it was', () => {
    const texts = [
      'plain',
      'with "quotes" and \\ backslash',
      'two\nlines\tand tab',
      'grüße 漢字 🎉',
      'bell\u0007 \u001b[ \u007f',
      'a written \\u0041',
    ];
    const env = Object.fromEntries(texts.map((text, i) => [`STATOR_${i}`, text]));
    const file = join(folder, 'config.capnp');
    writeFileSync(file, config(env));
    const { status, stdout, stderr } = spawnSync(workerdBinary(), ['compile', '--config-only', file]);
    expect(stderr.toString()).toBe('');
    expect(status).toBe(0);
    for (const text of texts) expect(stdout.includes(Buffer.from(`${text}\0`))).toBe(true);
  });
});
