/** Triton's Python client for KServe's protocol, unmodified and with its own copy of the published messages. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy } from '../harness/deployment.ts';
import { pythonWithPackages, seenByPython } from './python.ts';

const API_KEY = 'sk-stator-kserve';
let deployment: Deployment;
let python: string;
beforeAll(async () => {
  python = await pythonWithPackages();
  deployment = await deploy({ workers: 2, engine: 'mock', modelName: 'kserve-model', apiKey: API_KEY });
}, 600_000);

const seen = <T>(scenario: string): Promise<T> =>
  seenByPython<T>(python, 'kserve_client.py', [
    deployment.sidecarLines[0]?.grpc as string,
    API_KEY,
    scenario,
  ]);

describe('tritonclient', () => {
  it('learns what the server and its model are', async () => {
    expect(await seen('about')).toEqual({
      live: true,
      ready: true,
      model_ready: true,
      unknown_ready: false,
      name: 'stator',
      inputs: [
        ['text_input', 'BYTES'],
        ['streaming', 'BOOL'],
      ],
      outputs: [
        ['text_output', 'BYTES'],
        ['finish_reason', 'BYTES'],
      ],
    });
  });

  it('gets the same text streamed and whole, and an error in the stream as one', async () => {
    const { error, finish_reason, id, streamed, whole } = await seen<{
      error: string;
      finish_reason: string;
      id: string;
      streamed: string[];
      whole: string;
    }>('same_text');
    expect([id, finish_reason]).toEqual(['mine', 'length']);
    expect(streamed.join('')).toBe(whole);
    expect(streamed.length).toBeGreaterThan(3);
    expect(error).toContain("'nobody' does not exist");
  });

  it('is refused with a status', async () => {
    expect(await seen('refused')).toEqual({
      status: 'StatusCode.NOT_FOUND',
      message: expect.stringContaining("'nobody' does not exist"),
    });
  });
});
