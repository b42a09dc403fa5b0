/**
 * TLS on the side of clients and between the planes: who has the right certificate is served, streamed to and migrated as
 * without; who has none gets no answer at all.
 */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { promisify } from 'node:util';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import * as proto from '../../gpu-sidecar/proto/gen/inference/grpc_service_pb.js';
import { type Fetch, tlsFetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { certificateAuthority } from '../harness/certificate-files.ts';
import { deploy, sidecarOf, workersServing } from '../harness/deployment.ts';
import { ask, texts, whole } from '../harness/kserve-client.ts';
import { collect } from '../harness/sse.ts';

const LOCAL = ['localhost', '127.0.0.1'];
const clients = certificateAuthority('clients');
const fleet = certificateAuthority('fleet');
const strangers = certificateAuthority('strangers');
const server = clients.issue(LOCAL);
const client = clients.issue(['client']);
const planes = fleet.issue(LOCAL);
const stranger = strangers.issue(LOCAL);

const MODEL = 'tls-model';
const API_KEY = 'sk-stator-tls';
const chatBody = (more: object) =>
  JSON.stringify({ model: MODEL, seed: 7, messages: [{ role: 'user', content: 'hello' }], ...more });
const chat = (send: Fetch, url: string, more: object) =>
  send(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
    body: chatBody(more),
  });
const trusting = (trusted: string, own = client.pem): Fetch => tlsFetch({ ...own, ca: trusted });
/** Why nothing came back. */
const failure = (answer: Promise<Response>): Promise<string> =>
  answer.then(
    ({ status }) => `answered with ${status}`,
    (error: NodeJS.ErrnoException) => `${error.code} ${error.message}`,
  );
/** A word that TLS refuses with, or the bare end of a connection. */
const REFUSED = /alert|ECONNRESET|EPIPE|hang up|certificate|SSL/i;

let deployment: Deployment;
const mutual = trusting(server.pem.ca);

beforeAll(async () => {
  deployment = await deploy({
    workers: 2,
    engine: 'mock',
    modelName: MODEL,
    mockDecodeMs: 20,
    apiKey: API_KEY,
    tlsCert: server.cert,
    tlsKey: server.key,
    tlsClientCa: client.ca,
    fleetTlsCert: planes.cert,
    fleetTlsKey: planes.key,
    fleetTlsCa: planes.ca,
  });
}, 90_000);

describe('clients', () => {
  it('with a certificate are answered over https', async () => {
    expect(deployment.url).toMatch(/^https:/);
    const response = await chat(mutual, deployment.url, { max_tokens: 4, ignore_eos: true });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ usage: { completion_tokens: 4 } });
  });

  it("without one, or with a stranger's, are not", async () => {
    const anybody = tlsFetch({ cert: '', key: '', ca: server.pem.ca });
    expect(await failure(anybody(`${deployment.url}/live`))).toMatch(REFUSED);
    const forged = trusting(server.pem.ca, stranger.pem);
    expect(await failure(forged(`${deployment.url}/live`))).toMatch(REFUSED);
  });

  it('who do not trust the authority do not talk to it', async () => {
    expect(await failure(trusting(stranger.pem.ca)(`${deployment.url}/live`))).toMatch(/certificate/);
  });

  it('at a terminal show theirs, too', async () => {
    // A machine where nothing runs.
    const env = { ...process.env, STATOR_HOME: `${deployment.directory}/elsewhere` };
    const command = (name: string, ...more: string[]) =>
      promisify(execFile)(process.execPath, ['cli/main.ts', name, ...more], { cwd: PROJECT_ROOT, env });
    const address = ['--url', deployment.url, '--api-key', API_KEY];
    const shown = ['--tls-client-cert', client.cert, '--tls-client-key', client.key, '--tls-ca', server.ca];
    const status = JSON.parse((await command('status', '--json', ...address, ...shown)).stdout);
    expect(status[0].status.workers).toHaveLength(2);
    const said = JSON.parse(
      (await command('run', 'hello', '--json', '--max-tokens', '4', ...address, ...shown)).stdout,
    );
    expect(said).toMatchObject({ model: MODEL, usage: { completion_tokens: 4 } });
    const refused = command('status', ...address, '--tls-ca', server.ca);
    await expect(refused).rejects.toMatchObject({
      stderr: expect.stringMatching(/does not answer: .*(alert|hang up|ECONNRESET|EPIPE)/),
    });
    const wrongFile = command('status', ...address, ...shown.slice(0, 3), 'nowhere.pem');
    await expect(wrongFile).rejects.toMatchObject({
      stderr: expect.stringContaining('--tls-client-key: nowhere.pem is not there'),
    });
  }, 60_000);

  it('who speak plain http to the port get no answer', async () => {
    const refused = await new Promise<string>((resolve) => {
      request(`${deployment.url.replace('https', 'http')}/live`, ({ statusCode }) => resolve(`${statusCode}`))
        .on('error', (error) => resolve(error.message))
        .end();
    });
    expect(refused).toMatch(/Parse Error|ECONNRESET|hang up/);
  });
});

describe('between the planes', () => {
  const addressOf = (index: number) => deployment.sidecarLines[index]?.http as string;

  it('a worker is reached with https, by nobody who has no certificate of the fleet', async () => {
    expect(addressOf(0)).toMatch(/^https:/);
    const token = { authorization: `Bearer ${deployment.settings.fleetToken}` };
    const member = tlsFetch(planes.pem);
    expect((await member(`${addressOf(0)}/metrics`, { headers: token })).status).toBe(200);
    expect((await member(`${addressOf(0)}/metrics`)).status).toBe(401);
    const anybody = tlsFetch({ cert: '', key: '', ca: planes.pem.ca });
    expect(await failure(anybody(`${addressOf(0)}/metrics`, { headers: token }))).toMatch(REFUSED);
    const forged = tlsFetch({ ...stranger.pem, ca: planes.pem.ca });
    expect(await failure(forged(`${addressOf(0)}/metrics`, { headers: token }))).toMatch(REFUSED);
  });

  it('nor can the address that workers dial', async () => {
    const { url } = deployment.control;
    expect((await tlsFetch(planes.pem)(`${url}/live`)).status).toBe(200);
    const anybody = tlsFetch({ cert: '', key: '', ca: planes.pem.ca });
    expect(await failure(anybody(`${url}/live`))).toMatch(REFUSED);
    expect(await failure(tlsFetch({ ...client.pem, ca: planes.pem.ca })(`${url}/live`))).toMatch(REFUSED);
  });

  it('gRPC wants a certificate of the fleet, too', async () => {
    const address = deployment.sidecarLines[0]?.grpc as string;
    const buffers = [planes.pem.ca, planes.pem.key, planes.pem.cert].map((pem) => Buffer.from(pem));
    const [ca, key, cert] = buffers as [Buffer, Buffer, Buffer];
    const member = new Client(address, credentials.createSsl(ca, key, cert));
    const anybody = new Client(address, credentials.createSsl(ca));
    afterAll(() => {
      member.close();
      anybody.close();
    });
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${API_KEY}`);
    const { modelInfer, serverLive } = proto.GRPCInferenceService.method;
    const answer = await ask(member, modelInfer, whole('hi', { modelName: MODEL }), metadata);
    expect(texts(answer)).toHaveLength(1);
    await expect(ask(anybody, serverLive, {})).rejects.toMatchObject({ code: 14 });
  });

  it('a stream goes on when its worker is killed', async () => {
    const body = { stream: true, max_tokens: 60, ignore_eos: true, temperature: 0 };
    const undisturbed = await collect(await chat(mutual, deployment.url, body));
    const response = await chat(mutual, deployment.url, body);
    const worker = response.headers.get('x-stator-worker') as string;
    const migrated = await collect(response, (count) => {
      if (count === 5) process.kill(sidecarOf(deployment, worker).pid, 'SIGKILL');
    });
    expect(migrated).toMatchObject({ done: true, text: undisturbed.text });
    await workersServing(deployment, 2);
  });

  it("workerd's log has no uncaught error", () => {
    expect(readFileSync(`${deployment.directory}/platform.log`, 'utf8')).not.toMatch(/uncaught/i);
  });
});
