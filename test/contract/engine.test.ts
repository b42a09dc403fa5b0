/** The engine contract against every engine. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { llamaKind } from '../../gpu-sidecar/engines/llama/kind.ts';
import { mockKind } from '../../gpu-sidecar/engines/mock/kind.ts';
import { wasmBlockHasher } from '../../gpu-sidecar/engines/wasm-hasher.ts';
import { tokenizerJson } from '../../gpu-sidecar/models/gguf/tokenizer-json.ts';
import { startKvEngine } from '../harness/kv-engine.ts';
import { byteTokenizer } from './byte-tokenizer.ts';
import { type EngineSubject, engineContract } from './engine.contract.ts';
import { engineGrammarContract } from './engine.grammar.contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-engine-'));
const tokenizerPath = join(folder, 'tokenizer.json');
writeFileSync(tokenizerPath, tokenizerJson(byteTokenizer())!);
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS = { modelName: null, blockSizeTokens: 16, speedup: 0 };

const mock: EngineSubject = {
  name: 'mock',
  hasher: wasmBlockHasher,
  longPromptTokens: 500,
  start: ({ totalBlocks, maxNumSeqs, contextLengthTokens }) =>
    mockKind.start({
      ...OPTIONS,
      modelPath: tokenizerPath,
      contextLengthTokens,
      extra: { totalBlocks: `${totalBlocks}`, maxNumSeqs: `${maxNumSeqs}`, eosEvery: '40' },
    }),
};

const llama: EngineSubject = {
  name: 'llama',
  hasher: wasmBlockHasher,
  longPromptTokens: 300,
  start: ({ totalBlocks, maxNumSeqs, contextLengthTokens }) =>
    llamaKind.start({
      ...OPTIONS,
      modelPath: '',
      contextLengthTokens,
      extra: { totalBlocks: `${totalBlocks}`, maxNumSeqs: `${maxNumSeqs}` },
    }),
};

/** With a host tier smaller than its cache and a disk that are in use all the time. */
const llamaWithTiers: EngineSubject = {
  name: 'llama with KV memory',
  hasher: wasmBlockHasher,
  longPromptTokens: 300,
  lowerTiers: true,
  start: ({ totalBlocks, maxNumSeqs, contextLengthTokens }) =>
    startKvEngine({
      contextLengthTokens,
      extra: { totalBlocks: `${totalBlocks}`, maxNumSeqs: `${maxNumSeqs}` },
      hostBlocks: 20,
      disk: { folder: mkdtempSync(join(folder, 'kv-')), capacityBlocks: 40 },
    }),
};

for (const subject of [mock, llama, llamaWithTiers]) {
  engineContract(subject);
  engineGrammarContract(subject);
}
