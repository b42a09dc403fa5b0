/** Starting the mock engine: where its tokenizer and template come from, and what it refuses. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Engine, EngineOptions } from '../../../../gpu-sidecar/engines/engine.ts';
import { mockKind } from '../../../../gpu-sidecar/engines/mock/kind.ts';
import { tokenizerJson } from '../../../../gpu-sidecar/models/gguf/tokenizer-json.ts';
import { ModelInput } from '../../../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { byteTokenizer } from '../../../contract/byte-tokenizer.ts';
import { promptOf, request, run } from '../../../contract/engine.harness.ts';

const root = mkdtempSync(join(tmpdir(), 'stator-mock-'));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;
/** A tokenizer.json with these files beside it. */
function tokenizerWith(files: Record<string, string>): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  writeFileSync(join(folder, 'tokenizer.json'), tokenizerJson(byteTokenizer())!);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return join(folder, 'tokenizer.json');
}

const start = (changes: Partial<EngineOptions>): Promise<Engine> =>
  mockKind.start({
    modelPath: tokenizerWith({}),
    modelName: null,
    contextLengthTokens: null,
    blockSizeTokens: 16,
    speedup: 0,
    extra: {},
    ...changes,
  });

const templateOf = ({ info }: Engine): string =>
  new TextDecoder().decode(info.artifacts.get(info.card.chatTemplate!.sha256));

describe('the mock engine', () => {
  it('has the tokenizer and the template of the built-in model by default', async () => {
    const engine = await start({ modelPath: '' });
    expect(engine.info.card).toMatchObject({
      name: 'mock',
      modelInput: ModelInput.TOKENS,
      eosToken: '<|im_end|>',
    });
    expect(engine.info.card.contextLengthTokens).toBe(131_072);
    expect(engine.info.totalBlocks).toBe(16_384);
    expect(templateOf(engine)).toContain('<|im_start|>');
  });

  it('takes the template from the folder of the tokenizer', async () => {
    expect(templateOf(await start({}))).toContain('<|im_start|>');
    const config = { chat_template: 'from the configuration', eos_token: { content: '<|endoftext|>' } };
    const configured = await start({
      modelPath: tokenizerWith({ 'tokenizer_config.json': JSON.stringify(config) }),
    });
    expect(templateOf(configured)).toBe('from the configuration');
    expect(configured.info.card.eosTokenIds).toEqual([0, 2]);
    const named = [{ name: 'default', template: 'the default one' }];
    const files = { 'tokenizer_config.json': JSON.stringify({ chat_template: named }) };
    expect(templateOf(await start({ modelPath: tokenizerWith(files) }))).toBe('the default one');
    const jinja = { ...files, 'chat_template.jinja': 'from the file' };
    expect(templateOf(await start({ modelPath: tokenizerWith(jinja) }))).toBe('from the file');
  });

  it('speaks in visible characters', async () => {
    const engine = await start({ modelPath: '' });
    const { tokens } = await run(
      engine,
      request(promptOf(engine, { length: 20, salt: 1 }), { maxTokens: 200 }),
    );
    const text = Buffer.concat(tokens.map((id) => engine.vocabulary.tokenBytes(id))).toString();
    expect(text).toMatch(/^[ -~]{200,}$/);
    await engine.stop();
  });

  it('has no more context than its cache holds', async () => {
    const { info } = await start({ extra: { totalBlocks: '10' } });
    expect([info.contextLengthTokens, info.card.contextLengthTokens]).toEqual([160, 160]);
  });

  it.each<[string, Partial<EngineOptions>, RegExp]>([
    [
      'a missing tokenizer',
      { modelPath: '/nowhere/tokenizer.json' },
      /\/nowhere\/tokenizer\.json cannot be read \(ENOENT\)/,
    ],
    ['a broken tokenizer', { modelPath: join(root, 'broken.json') }, /broken\.json is no tokenizer\.json/],
    ['an unknown option', { extra: { colour: 'blue' } }, /colour/],
    ['an option out of bounds', { extra: { totalBlocks: '0' } }, /option totalBlocks of the engine mock/],
  ])('refuses %s', async (_, changes, message) => {
    writeFileSync(join(root, 'broken.json'), '{"model": {}}');
    await expect(start(changes)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(message),
    });
  });

  it('refuses a broken tokenizer configuration by name', async () => {
    const modelPath = tokenizerWith({ 'tokenizer_config.json': '{' });
    await expect(start({ modelPath })).rejects.toThrow(
      /tokenizer_config\.json is no tokenizer configuration/,
    );
  });
});

it('takes the times of a profile, and refuses what is none', async () => {
  const profile = {
    prefill: { inputTokens: [1], ttftMs: [30], tokensPerSecondPerGpu: [1] },
    decode: { maxKvTokens: 9, kvUsage: [0], contextTokens: [1], itlMs: [[7]], tokensPerSecondPerGpu: [[1]] },
  };
  const file = join(root, 'profile.json');
  writeFileSync(file, JSON.stringify(profile));
  const timed = await start({ extra: { timing: file }, speedup: 30 });
  await timed.stop();
  writeFileSync(file, JSON.stringify({ ...profile, prefill: {} }));
  await expect(start({ extra: { timing: file } })).rejects.toThrow(`${file}: the profile is wrong: prefill`);
});
