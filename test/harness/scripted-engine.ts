/**
 * An engine whose every word the test says: requests wait here until the test lets them start, emit and end.
 * Tokens are bytes (`byteVocabulary`).
 */
import { create } from '@bufbuild/protobuf';
import type {
  Embedder,
  Engine,
  EngineInfo,
  EngineLoad,
  EngineRequest,
  EngineSink,
  KvEventSink,
} from '../../gpu-sidecar/engines/engine.ts';
import { ModelCardSchema } from '../../gpu-sidecar/proto/gen/stator/v1/model_pb.js';
import { bytesOf, byteVocabulary } from './byte-vocabulary.ts';

export class ScriptedRequest {
  readonly request: EngineRequest;
  readonly sink: EngineSink;
  aborted = false;
  #index: number;

  constructor(request: EngineRequest, sink: EngineSink) {
    this.request = request;
    this.sink = sink;
    this.#index = request.tokenIds.length - request.promptTokens;
  }

  start(cachedTokens = 0): this {
    this.sink.started(cachedTokens);
    return this;
  }

  /** One token per byte of the text. */
  say(text: string): this {
    for (const byte of bytesOf(text)) this.sink.token(byte, this.#index++);
    return this;
  }
}

export class ScriptedEngine implements Engine {
  readonly info: EngineInfo;
  readonly vocabulary = byteVocabulary;
  readonly requests: ScriptedRequest[] = [];
  /** Thrown by the next `submit`. */
  refusal: Error | null = null;
  /** Called within `submit`, before it returns. */
  onSubmit: (request: ScriptedRequest) => void = () => {};
  events: KvEventSink | null = null;
  /** Each text's vector is its length and 0; what to wait for before is the test's to say. */
  readonly embedder: Embedder & { before: (gone: AbortSignal) => Promise<void> } = {
    dimensions: 2,
    maxTokens: 8,
    before: async () => {},
    async embed(inputs, gone) {
      await this.before(gone);
      return Float32Array.from(inputs.flatMap((ids) => [ids.length, 0]));
    },
  };
  cleared = 0;
  usedBlocks = 3;
  stopped = false;

  constructor(info: Partial<EngineInfo> = {}) {
    this.info = {
      engine: 'scripted',
      card: create(ModelCardSchema, { name: 'tiny', contextLengthTokens: 64, kvCacheBlockSize: 4 }),
      artifacts: new Map([['ab12', bytesOf('{"artifact":true}')]]),
      blockSizeTokens: 4,
      totalBlocks: 100,
      maxNumSeqs: 8,
      maxNumBatchedTokens: 64,
      contextLengthTokens: 64,
      deterministic: true,
      ...info,
    };
  }

  get last(): ScriptedRequest {
    return this.requests.at(-1)!;
  }

  tokenize(text: string): Uint32Array {
    return Uint32Array.from(bytesOf(text));
  }

  submit(request: EngineRequest, sink: EngineSink): { abort(): void } {
    if (this.refusal !== null) throw this.refusal;
    const running = new ScriptedRequest(request, sink);
    this.requests.push(running);
    this.onSubmit(running);
    return {
      abort: () => {
        running.aborted = true;
      },
    };
  }

  onKvEvents(sink: KvEventSink): void {
    this.events = sink;
  }

  load(): EngineLoad {
    return { running: this.requests.length, waiting: 0, kvUsedBlocks: this.usedBlocks };
  }

  clearKvBlocks(): number {
    this.cleared++;
    return 5;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const { aborted, sink } of this.requests) if (!aborted) sink.end('cancelled');
  }
}
