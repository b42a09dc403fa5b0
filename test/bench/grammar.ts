/**
 * `stator bench grammar`: what holding an answer to a grammar costs the sidecar per token, beside sampling without one.
 *
 * Answers of up to `--length` tokens are drawn by the llama engine's sampler from logits that are noise, so that a grammar meets its
 * hard places. µs of one token: the tenth percentile (what others do on the machine counts least there), of the whole
 * also the median and p99. `mask` and `push` are llguidance's; `sample` has the mask put on the logits. Vocabularies: the
 * built-in model's, and one of `--tokens`: its tokens, and pairs and triples of them.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { TokenMasks } from '../../gpu-sidecar/engines/constraint/token-masks.ts';
import type { SamplingOptions, Vocabulary } from '../../gpu-sidecar/engines/engine.ts';
import { sampleToken } from '../../gpu-sidecar/engines/llama/sampler.ts';
import { readTokenTable } from '../../gpu-sidecar/engines/token-table.ts';
import { randomSource } from './prompts.ts';
import { versions } from './versions.ts';

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    tokens: { type: 'string', default: '150000' },
    answers: { type: 'string', default: '20' },
    length: { type: 'string', default: '100' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `stator bench grammar [options]
  --json        one JSON document on stdout instead of a table
  --tokens N    size of the large vocabulary [150000]
  --answers N   answers per grammar [20]
  --length N    most tokens of an answer [100]`;

/** The percentile that says what a token costs when nobody disturbs. */
const QUIET = 0.1;

const PERSON = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 40 },
    age: { type: 'integer', minimum: 0, maximum: 120 },
    tags: { type: 'array', items: { enum: ['red', 'green', 'blue'] }, maxItems: 5 },
    zip: { type: 'string', pattern: '^[0-9]{5}$' },
    note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
  },
  required: ['name', 'age', 'tags', 'zip', 'note'],
  additionalProperties: false,
};
const GRAMMARS: Readonly<Record<string, object | null>> = {
  none: null,
  json_schema: { json_schema: PERSON },
  json_object: { json_schema: { type: 'object' } },
  regex: { lark_grammar: 'start: /[a-z]{3,8}(-[0-9]{2,4}){1,3}@[a-z]+\\.(com|org)/' },
  choice: { lark_grammar: 'start: "positive" | "negative" | "neutral"' },
};
const SAMPLING: SamplingOptions = {
  temperature: 1,
  topP: 0.95,
  topK: 40,
  minP: 0,
  seed: 7n,
  choice: 0,
  topLogprobs: null,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: new Map(),
};

function builtIn(): Vocabulary {
  const path = join(PROJECT_ROOT, 'gpu-sidecar/models/tiny/tokenizer.json');
  return readTokenTable(readFileSync(path), { path, eosTokens: ['<|im_end|>'] });
}

function enlarged(base: Vocabulary, size: number): Vocabulary {
  const random = randomSource(7);
  const words = Array.from({ length: base.size }, (_, id) => base.tokenBytes(id));
  const parts = words.filter(({ length }) => length > 1);
  const seen = new Set(words.map((word) => Buffer.from(word).toString('latin1')));
  while (words.length < size) {
    const pieces = Array.from(
      { length: random() < 0.7 ? 2 : 3 },
      () => parts[Math.floor(random() * parts.length)]!,
    );
    const word = Buffer.concat(pieces);
    const key = word.toString('latin1');
    if (seen.has(key)) continue;
    seen.add(key);
    words.push(word);
  }
  return { ...base, size: words.length, tokenBytes: (id) => words[id]! };
}

/** Processor time of this thread; its grain is milliseconds. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds of the parts of each token's turn. */
interface Turns {
  mask: number[];
  sample: number[];
  push: number[];
}

function answer(masks: TokenMasks, vocabulary: Vocabulary, grammars: string | null, turns: Turns): void {
  const random = randomSource(turns.sample.length + 1);
  const constrained = grammars === null ? null : masks.compile(grammars).begin(new Uint32Array(0));
  const noise = Float32Array.from({ length: vocabulary.size }, () => 8 * random());
  const logits = new Float32Array(vocabulary.size);
  for (let index = 0; index < Number(args.length) && !constrained?.complete; index++) {
    logits.set(noise);
    const [begunMs, allowed] = [performance.now(), constrained?.allowed() ?? null];
    const maskedMs = performance.now();
    const id = sampleToken({ logits, sampling: SAMPLING, counts: null, forbidden: [], allowed, index });
    const sampledMs = performance.now();
    if (vocabulary.isEndOfGeneration(id)) break;
    constrained?.push(id);
    turns.mask.push(maskedMs - begunMs);
    turns.sample.push(sampledMs - maskedMs);
    turns.push.push(performance.now() - sampledMs);
  }
  constrained?.free();
}

function percentileUs(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Number(((sorted[Math.floor(share * sorted.length)] ?? 0) * 1000).toFixed(1));
}

function measure(masks: TokenMasks, vocabulary: Vocabulary, grammar: object | null) {
  const grammars = grammar === null ? null : JSON.stringify({ grammars: [grammar] });
  const begunMs = cpuMs();
  if (grammars !== null) masks.compile(grammars);
  const compileMs = cpuMs() - begunMs;
  const turns: Turns = { mask: [], sample: [], push: [] };
  for (let i = 0; i < Number(args.answers); i++) answer(masks, vocabulary, grammars, turns);
  const whole = turns.mask.map((ms, i) => ms + turns.sample[i]! + turns.push[i]!);
  return {
    compile_ms: Number(compileMs.toFixed(1)),
    tokens: whole.length,
    us_per_token: percentileUs(whole, QUIET),
    us_per_token_p50: percentileUs(whole, 0.5),
    us_per_token_p99: percentileUs(whole, 0.99),
    mask_us: percentileUs(turns.mask, QUIET),
    sample_us: percentileUs(turns.sample, QUIET),
    push_us: percentileUs(turns.push, QUIET),
  };
}

function main(): void {
  const small = builtIn();
  const figures = [small, enlarged(small, Number(args.tokens))].map((vocabulary) => {
    const masks = new TokenMasks(vocabulary);
    const begunMs = cpuMs();
    masks.prepare();
    const prepareMs = Math.round(cpuMs() - begunMs);
    const grammars = Object.fromEntries(
      Object.entries(GRAMMARS).map(([name, grammar]) => [name, measure(masks, vocabulary, grammar)]),
    );
    return { vocabulary: vocabulary.size, prepare_ms: prepareMs, grammars };
  });
  if (args.json) {
    console.log(JSON.stringify({ versions: versions(), figures }, null, 2));
    return;
  }
  for (const { vocabulary, prepare_ms, grammars } of figures) {
    console.log(`${vocabulary} tokens, prepared in ${prepare_ms} ms`);
    console.table(grammars);
  }
}

if (args.help) console.log(HELP);
else main();
