/** A transport that writes down what it is told and can be full. */
import type { StatorError } from '../../../durable/runtime/errors.ts';
import type { Chunk } from '../../../gpu-sidecar/response/response-fold.ts';
import type { ByteSink, ResponseHead } from '../../../gpu-sidecar/server/byte-sink.ts';

export class RecordingSink implements ByteSink {
  sentHead: ResponseHead | null = null;
  headFlushed = false;
  readonly writes: string[] = [];
  ended = false;
  refused: StatorError | null = null;
  wasCut = false;
  full = false;
  #drained: () => void = () => {};

  get text(): string {
    return this.writes.join('');
  }

  head(head: ResponseHead): void {
    if (this.sentHead !== null || this.refused !== null) throw new Error('a second head');
    this.sentHead = head;
  }

  flushHead(): void {
    this.headFlushed = true;
  }

  write(chunk: Chunk): boolean {
    if (this.sentHead === null || this.ended) throw new Error('a write out of place');
    this.writes.push(chunk.toString());
    return !this.full;
  }

  whenDrained(run: () => void): void {
    this.#drained = run;
  }

  drain(): void {
    this.full = false;
    this.#drained();
  }

  end(chunk: Chunk): void {
    this.write(chunk);
    this.ended = true;
  }

  refuse(error: StatorError): void {
    if (this.sentHead !== null || this.refused !== null) throw new Error('a refusal out of place');
    this.refused = error;
  }

  cut(): void {
    this.wasCut = true;
  }
}
