/** The hand-written GenerateRequest against protobuf-es. */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeGenerateRequest, type GenerateFields } from '../../../functions/dispatch/generate-request.ts';
import { GenerateRequestSchema } from '../../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const float = fc.float({ noNaN: true, noDefaultInfinity: true });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

const fields: fc.Arbitrary<GenerateFields> = fc.record({
  requestId: fc.string({ maxLength: 200, unit: 'binary' }),
  model: fc.string({ maxLength: 200, unit: 'binary' }),
  tokenIds: bytes(600),
  blockHashes: bytes(300),
  hashSeed: fc.option(fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }), { nil: undefined }),
  reservation: uint32,
  routerBoot: uint32,
  sampling: fc.record({
    temperature: float,
    topP: float,
    topK: uint32,
    minP: float,
    seed: fc.constant(null),
    presencePenalty: float,
    frequencyPenalty: float,
    repetitionPenalty: float,
    logitBias: fc.uniqueArray(fc.tuple(uint32, float), { selector: ([id]) => id, maxLength: 40 }),
    n: fc.integer({ min: 1, max: 16 }),
    topLogprobs: fc.option(fc.integer({ min: 0, max: 20 })),
  }),
  seed: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
  stop: fc.record({
    maxTokens: fc.constant(null),
    minTokens: uint32,
    stop: fc.array(fc.string({ maxLength: 256, unit: 'binary' }), { maxLength: 16 }),
    stopTokenIds: fc.array(uint32, { maxLength: 16 }),
    ignoreEos: fc.boolean(),
  }),
  maxTokens: uint32,
  dialect: fc.integer({ min: 0, max: 2 }),
  stream: fc.boolean(),
  includeUsage: fc.boolean(),
  responseId: fc.string({ maxLength: 60 }),
  created: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  echo: fc.boolean(),
  tools: fc.string({ maxLength: 300, unit: 'binary' }),
  oneToolCall: fc.boolean(),
  envelope: fc.string({ maxLength: 600, unit: 'binary' }),
  keep: fc.boolean(),
  nvext: fc.option(
    fc.record({
      workerId: fc.stringMatching(/^[0-9a-f]{0,16}$/),
      dpRank: uint32,
      requestReceivedMs: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      elapsedMs: uint32,
      prefillWorkerId: fc.stringMatching(/^[0-9a-f]{0,16}$/),
      prefillDpRank: uint32,
    }),
  ),
  grammar: fc.option(
    fc.record({
      kind: fc.integer({ min: 1, max: 6 }),
      text: fc.string({ maxLength: 300, unit: 'binary' }),
      param: fc.string({ maxLength: 300 }),
    }),
  ),
  resume: fc.option(
    fc.record({
      tokenIds: bytes(20_000),
      partialEvent: bytes(400),
      events: uint32,
      cachedTokens: fc.option(uint32),
    }),
  ),
  priority: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  prefill: fc.option(
    fc.record({
      worker: fc.stringMatching(/^[0-9a-f]{0,16}$/),
      grpcAddress: fc.string({ maxLength: 300 }),
      reservation: uint32,
      dpRank: uint32,
    }),
  ),
});

const packed = (ids: readonly number[]) => new Uint8Array(Uint32Array.from(ids).buffer);

function expected(from: GenerateFields) {
  const { stop } = from;
  return create(GenerateRequestSchema, {
    requestId: from.requestId,
    model: from.model,
    tokenIds: from.tokenIds,
    blockHashes: from.blockHashes,
    hashSeed: from.hashSeed ?? 0n,
    reservation: from.reservation,
    routerBoot: from.routerBoot,
    sampling: samplingOf(from),
    stop: {
      maxTokens: from.maxTokens,
      minTokens: stop.minTokens,
      stop: [...stop.stop].filter((text) => text !== ''),
      stopTokenIds: packed(stop.stopTokenIds),
      ignoreEos: stop.ignoreEos,
    },
    output: {
      dialect: from.dialect,
      stream: from.stream,
      includeUsage: from.includeUsage,
      responseId: from.responseId,
      created: BigInt(from.created),
      echo: from.echo,
      tools: from.tools,
      oneToolCall: from.oneToolCall,
      envelope: from.envelope,
      keep: from.keep,
      ...(from.nvext
        ? { nvext: { ...from.nvext, requestReceivedMs: BigInt(from.nvext.requestReceivedMs) } }
        : {}),
    },
    ...(from.grammar ? { grammar: from.grammar } : {}),
    ...(from.resume ? { resume: resumeOf(from.resume) } : {}),
    priority: from.priority,
    ...(from.prefill ? { prefill: prefillOf(from.prefill) } : {}),
  });
}

const prefillOf = ({ worker, ...rest }: NonNullable<GenerateFields['prefill']>) => ({
  instanceId: worker,
  ...rest,
});

function samplingOf({ sampling, seed }: GenerateFields) {
  const { n, topLogprobs, logitBias, ...rest } = sampling;
  return {
    ...rest,
    seed,
    logitBias: Object.fromEntries(logitBias),
    n: n === 1 ? 0 : n,
    ...(topLogprobs === null ? {} : { topLogprobs }),
  };
}

function resumeOf({ cachedTokens, ...rest }: NonNullable<GenerateFields['resume']>) {
  return cachedTokens === null ? rest : { ...rest, cachedTokens };
}

test('the hand-written bytes say to protobuf-es exactly what went in, for every field', () => {
  fc.assert(
    fc.property(fields, (input) => {
      const decoded = fromBinary(GenerateRequestSchema, encodeGenerateRequest(input));
      // Through bytes once more, so that floats are compared at 32 bits.
      const wanted = fromBinary(GenerateRequestSchema, toBinary(GenerateRequestSchema, expected(input)));
      expect(decoded).toEqual(wanted);
    }),
    { numRuns: 500 },
  );
});

test('a prompt larger than the buffer is written whole', () => {
  const tokenIds = new Uint8Array(400_000).fill(7);
  const [input] = fc.sample(fields, 1);
  const decoded = fromBinary(GenerateRequestSchema, encodeGenerateRequest({ ...input!, tokenIds }));
  expect(Buffer.compare(decoded.tokenIds, tokenIds)).toBe(0);
});
