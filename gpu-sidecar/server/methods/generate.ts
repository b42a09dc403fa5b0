/**
 * Generate: one request from its acceptance to its last byte, whatever the transport.
 *
 * The engine calls `started`, `token`, `end`; the fold makes text of it; the text of one turn of the event loop
 * goes out in one write. The head waits for the first token (so that a refusal keeps its status) or, when nothing is
 * streamed, for the whole answer, but never longer than `headerWaitMs`; from then on a comment or white space every
 * `keepAliveMs` shows the platform whether its client is still there. A reader that stalls until the buffer is
 * full, or goes away, ends the engine's work at once.
 *
 * Where another worker computes the prompt (`disagg/remote-prefill.ts`), the engine hears of the request when the blocks are
 * here or will not come; client, deadline and drain end that part like any other.
 *
 * A response that the platform keeps is told to it first, whole or as far as it came; its end waits for that.
 */

import { stopwatch } from '../../../durable/runtime/clock.ts';
import { StatorError, toStatorError } from '../../../durable/runtime/errors.ts';
import type { Prefilled } from '../../disagg/remote-prefill.ts';
import type { EngineSink, FinishReason, TokenLogprobs } from '../../engines/engine.ts';
import type { GenerateRequest } from '../../proto/gen/stator/v1/worker_pb.js';
import type { RecordedEnd } from '../../response/encoder.ts';
import { openResponse, type ResponseFold } from '../../response/response-fold.ts';
import type { OpenResponse } from '../admission.ts';
import { compileGrammar, type WantedGrammar } from '../answer-constraint.ts';
import type { ByteSink, ResponseHead, SinkObserver } from '../byte-sink.ts';
import { type ParsedGenerate, parseGenerate } from '../generate-request.ts';
import { RequestReport } from '../request-report.ts';
import type { Worker } from '../worker.ts';
import { Fork } from './fork.ts';

/** Answers `request` into `sink`. Never throws: what goes wrong is refused into the sink. */
export function generate(worker: Worker, request: GenerateRequest, sink: ByteSink): SinkObserver {
  let parsed: ParsedGenerate;
  try {
    parsed = parseGenerate(request, {
      vocabulary: worker.engine.vocabulary,
      contextLengthTokens: worker.engine.info.contextLengthTokens,
      card: worker.engine.info.card,
      grammars: worker.engine.grammars,
      stopwatch,
      limits: worker.limits,
    });
  } catch (thrown) {
    sink.refuse(toStatorError(thrown));
    return NOBODY;
  }
  const call = new GenerateCall(worker, parsed, sink);
  if (parsed.grammar === null) call.begin();
  else void call.beginUnder(parsed.grammar);
  return call;
}

const NOBODY: SinkObserver = { closed() {} };

class GenerateCall implements EngineSink, SinkObserver, OpenResponse {
  place = -1;
  readonly #worker: Worker;
  readonly #request: ParsedGenerate;
  readonly #sink: ByteSink;
  readonly #fold: ResponseFold;
  readonly #report: RequestReport;
  /** Text that is not written yet. */
  #pending = '';
  #cachedTokens: number | null = null;
  /** What became of the prompt at another worker. */
  #prefilled: Prefilled | null = null;
  #headSent = false;
  #flushDue = false;
  /** The transport is full. */
  #blocked = false;
  /** The engine is done or told to stop; at most the end is still to be written. */
  #over = false;
  /** The transport is gone. */
  #closed = false;
  #abort: (() => void) | null = null;
  #cancelTimer: (() => void) | null = null;
  readonly #endOfTurn = (): void => {
    this.#flushDue = false;
    if (!this.#over && this.#pending !== '') this.#flush();
  };

  readonly #drained = (): void => {
    this.#blocked = false;
    if (!this.#over && this.#pending !== '') this.#flush();
  };

  constructor(worker: Worker, request: ParsedGenerate, sink: ByteSink) {
    this.#worker = worker;
    this.#request = request;
    this.#sink = sink;
    this.#fold = openResponse(request.facts, worker.engine.vocabulary, request.resume);
    this.#report = new RequestReport(worker, request);
  }

  begin(): void {
    try {
      this.#admit();
      this.#open();
      if (!this.#over) this.#compute();
    } catch (thrown) {
      this.#fail(toStatorError(thrown));
    }
  }

  /** Takes no place until the grammar is compiled. */
  async beginUnder(grammar: WantedGrammar): Promise<void> {
    try {
      this.#request.engine.constraint = await compileGrammar(grammar);
    } catch (thrown) {
      if (!this.#over) this.#fail(toStatorError(thrown));
      return;
    }
    if (!this.#over) this.begin();
  }

  // What the engine says.

  started(foundTokens: number): void {
    if (this.#over) return;
    const cachedTokens = this.#cachedBefore(foundTokens);
    this.#prefilled?.[Symbol.dispose]();
    this.#cachedTokens = cachedTokens;
    this.#report.started(cachedTokens);
    this.#request.facts.nvext?.started();
    this.#add(this.#fold.started(cachedTokens));
  }

  token(id: number, _index: number, logprobs?: TokenLogprobs): void {
    if (this.#over) return;
    if (this.#request.facts.stream) this.#stopWaiting();
    this.#request.facts.nvext?.token();
    this.#add(this.#fold.push(id, logprobs));
    this.#report.token(this.#fold.tokens);
    if (this.#fold.done) this.#complete();
    else if (this.#pending.length > this.#worker.limits.responseBufferBytes) this.#overrun();
  }

  end(reason: FinishReason, error?: Error): void {
    if (this.#over) return;
    this.#abort = null;
    switch (reason) {
      case 'stop':
      case 'length':
        this.#add(this.#fold.finish(reason));
        this.#complete();
        break;
      case 'cancelled':
        this.cut();
        break;
      case 'error':
        this.#fail(
          error === undefined ? new StatorError('engine_error', 'the engine failed') : engineError(error),
        );
        break;
    }
  }

  // What the transport and the lifecycle say.

  closed(): void {
    this.#closed = true;
    this.#worker.admission.leave(this);
    if (this.#over) return;
    this.#stop();
    this.#report.ended('cancelled', 'cancelled');
    void this.#keep('cancelled');
  }

  /** The worker's time is over: the platform sees a lost worker and continues elsewhere. */
  cut(): void {
    if (this.#over) return;
    this.#stop();
    this.#report.ended('cancelled', 'worker_draining');
    if (this.#headSent) this.#sink.cut();
    else this.#sink.refuse(new StatorError('worker_draining', 'the worker is shutting down'));
  }

  #admit(): void {
    if (!this.#worker.lifecycle.open) throw new StatorError('worker_draining', 'the worker is shutting down');
    if (!this.#worker.admission.enter(this)) {
      throw new StatorError('overloaded', 'the worker has all the requests it can hold', { retryAfterS: 1 });
    }
  }

  /** What a continued response can say before the engine does anything; perhaps it is complete already. */
  #open(): void {
    this.#add(this.#fold.open());
    const alone = this.#fold.turns === null;
    if (alone && !this.#fold.done && this.#fold.tokens >= this.#request.engine.maxTokens) {
      this.#add(this.#fold.finish('length'));
    }
    if (this.#fold.done) this.#complete();
  }

  #compute(): void {
    const { remotePrefill, limits } = this.#worker;
    const { engine, prefill: peer, routerBoot, resume } = this.#request;
    if (peer === null || remotePrefill === null) {
      this.#submit();
      return;
    }
    this.#report.accepted();
    this.#waitForHead(limits.headerWaitMs);
    const gone = new AbortController();
    this.#abort = () => gone.abort();
    const { requestId, blockHashes, hashSeed, priority } = engine;
    const tokenIds = engine.tokenIds.subarray(0, engine.promptTokens);
    const endsThere = resume === null || resume.tokenIds.length === 0;
    // A prefill worker of another namespace has a router of its own.
    const boot = peer.routerBoot || routerBoot;
    const job = { requestId, peer, routerBoot: boot, tokenIds, blockHashes, hashSeed, priority };
    const prompt = { ...job, endsThere };
    void remotePrefill
      .run(prompt, gone.signal)
      .then((prefilled) => this.#afterPrefill(prefilled, peer.dpRank));
  }

  #afterPrefill(prefilled: Prefilled, dpRank: number): void {
    if (this.#over) {
      prefilled[Symbol.dispose]();
      return;
    }
    this.#prefilled = prefilled;
    this.#abort = null;
    const { by } = prefilled;
    if (by !== null) this.#request.facts.nvext?.prefilledBy({ id: by.instanceId, dpRank });
    try {
      this.#submit();
    } catch (thrown) {
      this.#fail(toStatorError(thrown));
    }
  }

  /** What the engine found less what came for this request: the prefill worker knows what it had (semantics §6). */
  #cachedBefore(foundTokens: number): number {
    if (this.#prefilled === null || this.#prefilled.blocks === 0) return foundTokens;
    const { blocks, cachedTokens } = this.#prefilled;
    const came = blocks * this.#worker.engine.info.blockSizeTokens;
    return cachedTokens ?? Math.max(foundTokens - came, 0);
  }

  #submit(): void {
    const running = this.#run();
    if (this.#over) {
      running.abort();
      return;
    }
    this.#abort = () => running.abort();
    this.#report.accepted();
    if (this.#cancelTimer === null) this.#waitForHead(this.#worker.limits.headerWaitMs);
  }

  #run(): { abort(): void } {
    const { engine } = this.#worker;
    const { turns } = this.#fold;
    if (turns === null) return engine.submit(this.#request.engine, this);
    const fork = new Fork(engine, this.#request.engine, turns, this);
    // Its first answers may be the last ones, and end it.
    this.#abort = () => fork.abort();
    fork.start();
    return fork;
  }

  /** Shows signs of life until the first token of a stream, or the end of a document. */
  #waitForHead(delayMs: number): void {
    this.#cancelTimer = this.#worker.timers.after(delayMs, () => {
      this.#pending += this.#fold.keepAlive();
      this.#flush();
      this.#waitForHead(this.#worker.limits.keepAliveMs);
    });
  }

  #add(text: string): void {
    if (text === '') return;
    this.#pending += text;
    if (this.#flushDue || this.#blocked) return;
    this.#flushDue = true;
    this.#worker.timers.endOfTurn(this.#endOfTurn);
  }

  #stopWaiting(): void {
    if (this.#cancelTimer === null) return;
    this.#cancelTimer();
    this.#cancelTimer = null;
  }

  #flush(): void {
    if (this.#blocked) return;
    if (!this.#headSent) this.#sendHead(null);
    if (this.#pending === '') {
      this.#sink.flushHead();
      return;
    }
    const chunk = this.#fold.encode(this.#pending);
    this.#pending = '';
    this.#blocked = !this.#sink.write(chunk);
    if (this.#blocked) this.#sink.whenDrained(this.#drained);
  }

  #sendHead(lengthBytes: number | null): void {
    this.#headSent = true;
    this.#sink.head({
      contentType: this.#fold.contentType,
      requestId: this.#request.engine.requestId,
      cachedTokens: this.#cachedTokens,
      lengthBytes,
      ...this.#prefillHead(),
    });
  }

  #prefillHead(): Pick<ResponseHead, 'prefilledBy' | 'prefillFailed'> {
    if (this.#prefilled === null) return {};
    const { by, why } = this.#prefilled;
    if (by !== null) return { prefilledBy: by.instanceId };
    const { instanceId } = this.#request.prefill!;
    // Without a name: whoever took it from the queue, which has found another or given it up.
    return why === 'cached' || instanceId === '' ? {} : { prefillFailed: instanceId };
  }

  /** The response has its proper end, or the error that the fold has written in its place. */
  #complete(): void {
    const { failed } = this.#fold;
    this.#stop();
    // Perhaps before the engine took it: the router counts a request until it hears of its end.
    this.#report.accepted();
    if (failed === null) this.#report.ended(this.#fold.reason ?? 'stop', 'ok');
    else {
      this.#worker.metrics.diverged();
      this.#report.ended('error', failed.code);
    }
    this.#endWith(failed ?? 'told');
  }

  #fail(error: StatorError): void {
    if (this.#over) return;
    this.#stop();
    this.#report.ended('error', error.code);
    if (!this.#headSent) {
      this.#sink.refuse(error);
      return;
    }
    this.#pending += this.#fold.fail(error);
    this.#endWith(error);
  }

  #endWith(end: RecordedEnd): void {
    const kept = this.#keep(end);
    if (kept === null) this.#writeEnd();
    else void kept.then(() => this.#writeEnd());
  }

  /** null: nobody wants it. */
  #keep(end: RecordedEnd): Promise<void> | null {
    if (!this.#request.keep) return null;
    const record = this.#fold.record(end);
    return record === null ? null : this.#worker.records.keep(this.#request.facts.responseId, record);
  }

  #writeEnd(): void {
    if (this.#closed) return;
    const chunk = this.#fold.encode(this.#pending);
    this.#pending = '';
    if (!this.#headSent) this.#sendHead(Buffer.byteLength(chunk));
    this.#sink.end(chunk);
  }

  #overrun(): void {
    this.#worker.metrics.overrun();
    this.#stop();
    this.#report.ended('cancelled', 'cancelled');
    this.#sink.cut();
  }

  #stop(): void {
    this.#over = true;
    this.#stopWaiting();
    this.#prefilled?.[Symbol.dispose]();
    const abort = this.#abort;
    this.#abort = null;
    abort?.();
  }
}

function engineError(error: Error): StatorError {
  return error instanceof StatorError
    ? error
    : new StatorError('engine_error', error.message, { cause: error });
}
