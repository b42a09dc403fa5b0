/** What the launcher finds out about the cluster before anything starts, and how it says what is missing. */

import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kubernetesServices } from '../../../cli/launch/kubernetes.ts';
import { resolveSettings, type Settings } from '../../../durable/runtime/config.ts';
import { kubernetesLocation } from '../../../gpu-sidecar/discovery/backends/kubernetes/location.ts';
import { certificateAuthority } from '../../harness/certificate-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-account-'));
const account = join(folder, 'account');
const POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

beforeAll(() => {
  mkdirSync(account);
  writeFileSync(join(account, 'token'), 'token');
  copyFileSync(certificateAuthority('cluster').issue(['kubernetes']).ca, join(account, 'ca.crt'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const settings = (changes: Partial<Settings> = {}): Settings => ({
  ...resolveSettings([]),
  planner: 'load',
  plannerConnector: 'kubernetes',
  kubernetesTarget: 'apps/v1/Deployment/w',
  kubernetesAccount: account,
  ...changes,
});

describe('the services for workerd', () => {
  it('are the API server of the cluster that the Pod is in, by the name that its certificate has', () => {
    expect(kubernetesServices(settings(), POD)).toMatchObject({
      address: '10.96.0.1:443',
      account,
      tls: { certificateHost: 'kubernetes.default.svc', ca: expect.stringContaining('BEGIN CERTIFICATE') },
    });
    const ipv6 = { ...POD, KUBERNETES_SERVICE_HOST: 'fd00::1' };
    expect(kubernetesServices(settings(), ipv6)?.address).toBe('[fd00::1]:443');
  });

  it('are another one by its URL', () => {
    const named = settings({ kubernetesUrl: 'https://cluster.example:6443' });
    expect(kubernetesServices(named, {})).toMatchObject({
      address: 'cluster.example:6443',
      tls: { certificateHost: 'cluster.example' },
    });
    const proxied = settings({ kubernetesUrl: 'http://127.0.0.1:8001' });
    expect(kubernetesServices(proxied, {})).toMatchObject({ address: '127.0.0.1:8001', tls: null });
  });

  it('are none where nothing asks for them', () => {
    expect(kubernetesServices(settings({ plannerConnector: 'virtual' }), {})).toBeNull();
    expect(kubernetesServices(settings({ planner: 'off' }), {})).toBeNull();
    const granted = settings({ plannerConnector: 'global', globalConnector: 'kubernetes' });
    expect(kubernetesServices(granted, POD)).not.toBeNull();
  });

  it.each<[Partial<Settings>, Record<string, string>, string]>([
    [{}, {}, '--kubernetes-url: is not given, and this is no Pod'],
    [{ kubernetesUrl: 'cluster:6443' }, {}, '--kubernetes-url: cluster:6443 is no http(s) URL'],
    [{ kubernetesTarget: 'Deployment/w' }, POD, '--kubernetes-target: Deployment/w is no'],
    [{ kubernetesTarget: '' }, POD, '--kubernetes-target: '],
    [{ kubernetesAccount: '/nowhere' }, POD, '--kubernetes-account: /nowhere has no token'],
  ])('are refused: %j', (changes, env, message) => {
    expect(() => kubernetesServices(settings(changes), env)).toThrow(message);
  });
});

describe('the location of discovery', () => {
  it('is the Pod that the process is in', async () => {
    const env = { ...POD, POD_NAME: 'worker-0', POD_UID: 'u1', POD_NAMESPACE: 'models' };
    const { access, namespace, pod } = kubernetesLocation(`?account=${account}`, env);
    expect({ namespace, pod }).toEqual({
      namespace: 'models',
      pod: { name: 'worker-0', uid: 'u1', process: 'worker' },
    });
    expect(await access.token()).toBe('token');
    writeFileSync(join(account, 'token'), 'replaced');
    expect(await access.token()).toBe('replaced');
  });

  it.each<[string, Record<string, string>, string]>([
    ['', {}, 'wants an address outside of a Pod'],
    ['ftp://x', {}, "'ftp://x' is no http or https address"],
    ['https://x?acount=/a', {}, 'knows no acount'],
    ['https://x?account=/nowhere', {}, '/nowhere/ca.crt is not there'],
    ['https://x?account=ACCOUNT', { POD_NAME: 'worker-0' }, 'wants POD_UID beside POD_NAME'],
  ])('is refused: %s', (location, env, message) => {
    expect(() => kubernetesLocation(location.replace('ACCOUNT', account), env)).toThrow(message);
  });
});
