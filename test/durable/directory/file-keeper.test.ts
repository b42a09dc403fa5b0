/** Files of models that may sleep: fetched while there is a worker, kept within bounds, never one for another. */

import { describe, expect, it } from 'vitest';
import { FileKeeper, type FilesDisk } from '../../../durable/directory/file-keeper.ts';
import type { ModelEntry } from '../../../durable/directory/rpc.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { modelEntry } from './model-entry.ts';

function disk(): FilesDisk & { files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    list: () => [...files].map(([sha256, data]) => ({ sha256, bytes: data.byteLength })),
    piece: (sha256, piece) => (piece === 0 ? (files.get(sha256) ?? null) : null),
    write: (sha256, data) => void files.set(sha256, data),
    remove: (sha256) => void files.delete(sha256),
  };
}

function keeper(given: { bytes?: number; dead?: string[]; on?: ReturnType<typeof disk> } = {}) {
  const on = given.on ?? disk();
  const asked: string[] = [];
  const failed: string[] = [];
  const files = new FileKeeper({
    disk: on,
    async fetch(address, sha256) {
      asked.push(`${address}/${sha256}`);
      if (given.dead?.includes(address)) throw new Error('it is gone');
      return new Uint8Array(given.bytes ?? 3);
    },
    failed: (sha256) => failed.push(sha256),
  });
  return { files, on, asked, failed };
}

const model = (tokenizer: string, template: string | null = null, addresses = ['http://w1']): ModelEntry => ({
  ...modelEntry(tokenizer),
  maySleep: true,
  tokenizerSha256: tokenizer,
  chatTemplateSha256: template,
  addresses,
});
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('kept files', () => {
  it('are fetched once, and are there without a worker and after a restart', async () => {
    const { files, asked, on } = keeper();
    files.follow([model('tok', 'tpl')]);
    files.follow([model('tok', 'tpl')]);
    await turn();
    files.follow([model('tok', 'tpl', [])]);
    expect(asked).toEqual(['http://w1/tok', 'http://w1/tpl']);
    const restarted = keeper({ on });
    expect(restarted.files.piece('tok', 0)?.byteLength).toBe(3);
    expect(restarted.files.piece('tok', 1)).toBeNull();
    expect(restarted.files.piece('other', 0)).toBeNull();
  });

  it('come from the next worker when one is gone, and are tried again when all are', async () => {
    const one = keeper({ dead: ['http://w1'] });
    one.files.follow([model('tok', null, ['http://w1', 'http://w2'])]);
    await turn();
    expect(one.files.piece('tok', 0)).not.toBeNull();
    const none = keeper({ dead: ['http://w1'] });
    none.files.follow([model('tok')]);
    await turn();
    none.files.follow([model('tok')]);
    await turn();
    expect([none.failed, none.asked.length]).toEqual([['tok', 'tok'], 2]);
  });

  it('that nobody names any more make room; those of models stay, and then there is none', async () => {
    const { files, failed } = keeper({ bytes: LIMITS.keptFileBytes / 2 });
    for (const name of ['a', 'b', 'c']) {
      files.follow([model(name)]);
      await turn();
    }
    expect(['a', 'b', 'c'].map((name) => files.piece(name, 0) !== null)).toEqual([false, true, true]);
    files.follow([model('b'), model('c'), model('d')]);
    await turn();
    expect(failed).toEqual(['d']);
    expect(files.piece('b', 0)).not.toBeNull();
  });
});
