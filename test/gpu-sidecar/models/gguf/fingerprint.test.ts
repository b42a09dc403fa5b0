/** Names of weights. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { fingerprint } from '../../../../gpu-sidecar/models/gguf/fingerprint.ts';
import type { GgufHeader } from '../../../../gpu-sidecar/models/gguf/reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-fingerprint-'));
afterAll(() => rmSync(folder, { recursive: true }));

function of(bytes: Uint8Array): Promise<string> {
  const path = join(folder, 'weights');
  writeFileSync(path, bytes);
  return fingerprint({ path, fileBytes: bytes.length } as GgufHeader);
}

it('is the same for equal files and another for other sizes and other contents, in small files and large', async () => {
  for (const length of [10, 4_096, 100_000, 3_000_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) >> 3);
    const name = await of(bytes);
    expect(name).toMatch(/^[0-9a-f]{16}$/);
    expect(await of(bytes.slice())).toBe(name);
    expect(await of(bytes.slice(0, -1))).not.toBe(name);
    // A fine-tune changes weights everywhere.
    expect(await of(bytes.map((byte, i) => (i % 1_000 === 7 ? byte ^ 1 : byte)))).not.toBe(name);
    const last = bytes.slice();
    last[length - 1]! ^= 1;
    expect(await of(last)).not.toBe(name);
  }
});
