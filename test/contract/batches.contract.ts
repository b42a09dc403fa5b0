/**
 * What functions rely on in the Batches object, whatever runs it: `test/durable/batches` runs this on the polyfill,
 * `test/workers/durable` in workerd. There are no models: requests of a batch wait for theirs.
 */
import { expect, test } from 'vitest';
import type { BatchRecord, Refused } from '../../durable/batches/rpc.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { concat } from '../../functions/bytes.ts';
import type { BatchesStub } from '../../functions/env.ts';

export interface BatchesWorld {
  stub(name: string): BatchesStub;
  /** Lets time pass until the answer is right. */
  until<T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T>;
}

export function granted<T>(answer: T | Refused): T {
  if (typeof answer === 'object' && answer !== null && 'refused' in answer) throw new Error(answer.message);
  return answer as T;
}

/** Sends a file in as many pieces as it needs; its id. */
export async function sendFile(object: BatchesStub, bytes: Uint8Array): Promise<string> {
  const id = granted(await object.beginFile());
  for (let at = 0; at < bytes.length; at += LIMITS.fileChunkBytes) {
    expect(await object.appendFile(id, bytes.slice(at, at + LIMITS.fileChunkBytes))).toBeNull();
  }
  granted(await object.finishFile(id, { filename: 'in', purpose: 'batch', expiresMs: null }));
  return id;
}

export async function readFile(object: BatchesStub, id: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let seq = 0; ; seq++) {
    const chunk = await object.fileChunk(id, seq);
    if (chunk === null) return concat(chunks);
    chunks.push(chunk);
  }
}

const encoder = new TextEncoder();
const line = (name: string) =>
  JSON.stringify({
    custom_id: name,
    method: 'POST',
    url: '/v1/completions',
    body: { model: 'm', prompt: name },
  });

export function batchesContract({ stub, until }: BatchesWorld): void {
  const ended = (object: BatchesStub, id: string) =>
    until(
      () => object.batch(id) as Promise<BatchRecord>,
      ({ state }) => ['failed', 'completed', 'cancelled'].includes(state),
    );
  const begin = async (object: BatchesStub, text: string): Promise<string> => {
    const inputFileId = await sendFile(object, encoder.encode(text));
    const batch = { inputFileId, endpoint: '/v1/completions' as const, metadata: null };
    return granted(await object.createBatch(batch)).id;
  };

  test('a file of several pieces comes back byte for byte, and is seen once it is whole', async () => {
    const object = stub('files');
    const bytes = Uint8Array.from({ length: LIMITS.fileChunkBytes * 2 + 5 }, (_, at) => at * 7);
    const id = await sendFile(object, bytes);
    expect(await object.file(id)).toMatchObject({
      id,
      bytes: bytes.length,
      filename: 'in',
      purpose: 'batch',
    });
    expect((await readFile(object, id)).length).toBe(bytes.length);
    expect((await readFile(object, id)).every((byte, at) => byte === bytes[at])).toBe(true);
    const unfinished = granted(await object.beginFile());
    expect(await object.file(unfinished)).toBeNull();
    expect(await object.fileChunk(unfinished, 0)).toBeNull();
    await object.abandonFile(unfinished);
    expect(await object.appendFile(unfinished, bytes.slice(0, 1))).toMatchObject({ refused: 'not_found' });
    const page = await object.files({ after: null, limit: 10, order: 'desc', purpose: null });
    expect(granted(page)).toMatchObject({ data: [{ id }], hasMore: false });
    expect(await object.removeFile(id)).toBe(true);
    expect(await object.removeFile(id)).toBe(false);
  });

  test('a batch of faulty lines fails and says which', async () => {
    const object = stub('faults');
    const id = await begin(object, `${line('a')}\n{}\n${line('a')}\n`);
    const batch = await ended(object, id);
    expect(batch).toMatchObject({ state: 'failed', total: 0, outputFileId: null, errorFileId: null });
    expect(batch.errors.map(({ code, line: at }) => [code, at])).toEqual([
      ['missing_required_parameter', 2],
      ['duplicate_custom_id', 3],
    ]);
    expect(granted(await object.batches(null, 5)).data.map((each) => each.id)).toEqual([id]);
  });

  test('a batch that is cancelled says of each line that it was not answered', async () => {
    const object = stub('cancelled');
    const names = Array.from({ length: 40 }, (_, at) => `line-${at}`);
    const id = await begin(object, names.map(line).join('\n'));
    await until(
      () => object.batch(id) as Promise<BatchRecord>,
      ({ state }) => state === 'in_progress',
    );
    expect(granted(await object.cancelBatch(id))).toMatchObject({ state: 'cancelling' });
    const batch = await ended(object, id);
    expect(batch).toMatchObject({ state: 'cancelled', total: 40, completed: 0, outputFileId: null });
    const text = new TextDecoder().decode(await readFile(object, batch.errorFileId!));
    const lines = text.trimEnd().split('\n');
    expect(lines.map((each) => (JSON.parse(each) as { custom_id: string }).custom_id)).toEqual(names);
    expect(await object.cancelBatch('batch_none')).toBeNull();
  });
}
