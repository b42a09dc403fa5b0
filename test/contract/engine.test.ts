/** The engine contract against every engine. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { llamaKind } from '../../gpu-sidecar/engines/llama/kind.ts';
import { mockKind } from '../../gpu-sidecar/engines/mock/kind.ts';
import { wasmBlockHasher } from '../../gpu-sidecar/engines/wasm-hasher.ts';
import { tokenizerJson } from '../../gpu-sidecar/models/gguf/tokenizer-json.ts';
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

for (const subject of [mock, llama]) {
  engineContract(subject);
  engineGrammarContract(subject);
}
