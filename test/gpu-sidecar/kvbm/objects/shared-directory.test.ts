/** A shared directory as object store: whole objects or none. */

import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { wallClock } from '../../../../durable/runtime/clock.ts';
import { SharedDirectory } from '../../../../gpu-sidecar/kvbm/objects/shared-directory.ts';
import { toTierFault } from '../../../../gpu-sidecar/kvbm/tiers/tier-store.ts';

const never = new AbortController().signal;
const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);
const faultOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (thrown) => toTierFault(thrown).fault,
  );

let root = '';
let store: SharedDirectory;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kvbm-objects-'));
  store = new SharedDirectory(root, wallClock);
});
afterEach(() => rmSync(root, { recursive: true }));

describe('a shared directory', () => {
  it('gives back what was put, to everybody who has it', async () => {
    await store.put('a/b/key', BYTES, never);
    const other = new SharedDirectory(root, wallClock);
    expect(await other.get('a/b/key', 100)).toEqual(BYTES);
    expect([await other.has('a/b/key'), await other.has('a/b/other')]).toEqual([true, false]);
    expect(await other.list('a/', 10)).toEqual(['a/b/key']);
    await other.delete('a/b/key');
    await other.delete('a/b/key');
    expect(await store.has('a/b/key')).toBe(false);
  });

  it('tells missing, short and forbidden objects apart', async () => {
    await store.put('key', BYTES, never);
    expect(await faultOf(store.get('none', 100))).toBe('missing');
    expect(await faultOf(store.get('key', 101))).toBe('short_read');
    expect(await faultOf(store.put('key/below', BYTES, never))).toBe('io');
  });

  it('leaves nothing of a put that was given up', async () => {
    const given = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    expect(await faultOf(store.put('a/key', BYTES, given))).toBe('timeout');
    expect(readdirSync(join(root, 'a'))).toEqual([]);
  });

  it('sweeps what writers that died left unfinished an hour ago, and lists no such thing', async () => {
    await store.put('a/key', BYTES, never);
    for (const name of ['old', 'young']) writeFileSync(join(root, 'a', `key.${name}.unfinished`), 'part');
    utimesSync(join(root, 'a', 'key.old.unfinished'), 1, 1);
    expect(await store.list('a', 10)).toEqual(['a/key']);
    expect(readdirSync(join(root, 'a')).sort()).toEqual(['key', 'key.young.unfinished']);
  });

  it('lists nothing where nothing is', async () => {
    expect(await store.list('nowhere/', 10)).toEqual([]);
  });
});
