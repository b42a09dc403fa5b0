/** The object tier of KV memory against a real S3 service: moto's server, which checks who may do what. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3 } from '../../gpu-sidecar/kvbm/objects/s3.ts';
import { ObjectTierStore } from '../../gpu-sidecar/kvbm/tiers/object-tier-store.ts';
import { toTierFault } from '../../gpu-sidecar/kvbm/tiers/tier-store.ts';
import { blocksOfWord, bytesOf, describedBlock } from '../gpu-sidecar/kvbm/named-blocks.ts';
import { pythonWithPackages } from './python.ts';

const BLOCK_BYTES = 1_048_576;
const BUCKET = 'kv-blocks';
const BLOCKS = blocksOfWord('abc');
const POLICY = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }] };
/** What anybody may do before the service begins to check: make a user, its policy and its key. */
const SETUP_ACTIONS = 3;

let server: ChildProcess;
let endpoint = '';
let access = { accessKeyId: '', secretAccessKey: '' };

beforeAll(async () => {
  const python = await pythonWithPackages();
  server = spawn(python, [join(import.meta.dirname, 's3_server.py')], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: String(SETUP_ACTIONS) },
  });
  const [line] = await once(server.stdout!, 'data');
  endpoint = `http://127.0.0.1:${String(line).trim()}`;
  await iam('CreateUser', {});
  await iam('PutUserPolicy', { PolicyName: 's3', PolicyDocument: JSON.stringify(POLICY) });
  const key = await iam('CreateAccessKey', {});
  const field = (name: string) => new RegExp(`<${name}>([^<]*)<`).exec(key)![1]!;
  access = { accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey') };
  const client = new AwsClient({ ...access, region: 'us-east-1', service: 's3' });
  expect((await client.fetch(`${endpoint}/${BUCKET}`, { method: 'PUT' })).status).toBe(200);
}, 600_000);

afterAll(() => server?.kill());

async function iam(action: string, parameters: Record<string, string>): Promise<string> {
  const anybody = new AwsClient({
    accessKeyId: 'a',
    secretAccessKey: 'b',
    region: 'us-east-1',
    service: 'iam',
  });
  const form = new URLSearchParams({ Action: action, Version: '2010-05-08', UserName: 'kv', ...parameters });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const response = await anybody.fetch(endpoint, { method: 'POST', headers, body: form.toString() });
  expect(response.status).toBe(200);
  return response.text();
}

const never = new AbortController().signal;
const store = (changes = {}) =>
  new ObjectTierStore(
    new S3({ endpoint, region: 'us-east-1', bucket: BUCKET, prefix: 'kv/', ...access, ...changes }),
    {
      blockBytes: BLOCK_BYTES,
      layout: '00000000000000aa',
    },
  );
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (thrown) => toTierFault(thrown).fault,
  );

async function read(from: ObjectTierStore, block: (typeof BLOCKS)[number]): Promise<Uint8Array> {
  const into = new Uint8Array(BLOCK_BYTES);
  await from.read(0, describedBlock(block, BLOCK_BYTES), into, never);
  return into;
}

describe('blocks in S3', () => {
  it('are put, found and read by any worker, and deleted', async () => {
    for (const block of BLOCKS)
      await store().write(0, describedBlock(block, BLOCK_BYTES), bytesOf(block, BLOCK_BYTES), never);
    for (const block of BLOCKS) {
      expect(await store().has(block.hash, never)).toBe(true);
      expect(Buffer.compare(await read(store(), block), bytesOf(block, BLOCK_BYTES))).toBe(0);
    }
    await store().erase(0, describedBlock(BLOCKS[2]!, BLOCK_BYTES), never);
    expect(await store().has(BLOCKS[2]!.hash, never)).toBe(false);
    expect(await faultOf(read(store(), BLOCKS[2]!))).toBe('missing');
    await store().trim(1, never);
    const left = await Promise.all(BLOCKS.map(({ hash }) => store().has(hash, never)));
    expect(left.filter(Boolean)).toHaveLength(1);
  });

  it('are denied to wrong credentials, and in a bucket that there is not', async () => {
    expect(await faultOf(read(store({ secretAccessKey: 'wrong' }), BLOCKS[0]!))).toBe('denied');
    expect(await faultOf(read(store({ accessKeyId: 'nobody' }), BLOCKS[0]!))).toBe('denied');
    expect(await faultOf(read(store({ bucket: 'other' }), BLOCKS[0]!))).toBe('denied');
  });

  it('are unavailable once the service is gone', async () => {
    server.kill();
    await once(server, 'exit');
    expect(await faultOf(read(store(), BLOCKS[0]!))).toBe('unavailable');
  });
});
