/**
 * Reads a batch's input file, a chunk a turn, into the ledger: where each line is and what it is called. What is wrong is
 * collected by line. After a restart it begins anew.
 */

import { LIMITS } from '../runtime/limits.ts';
import type { FileStore } from './file-store.ts';
import { parseInputLine } from './input-line.ts';
import type { Ledger } from './ledger.ts';
import { type CutLine, LineCutter } from './line-cutter.ts';
import type { BatchRecord, LineError } from './rpc.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

export class InputCheck {
  readonly #batch: BatchRecord;
  readonly #files: FileStore;
  readonly #ledger: Ledger;
  readonly #cutter = new LineCutter(LIMITS.batchLineBytes);
  readonly errors: LineError[] = [];
  /** Requests found so far. */
  total = 0;
  #seq = 0;
  #lines = 0;
  /** More requests than a batch may have. */
  #full = false;

  constructor(batch: BatchRecord, files: FileStore, ledger: Ledger) {
    this.#batch = batch;
    this.#files = files;
    this.#ledger = ledger;
  }

  /** Reads on. True: it is done, `errors` and `total` are complete. */
  turn(): boolean {
    const { inputFileId, id } = this.#batch;
    // Lines of a check that a restart cut off.
    if (this.#seq === 0 && this.#ledger.forgetLines(id)) return false;
    const chunk = this.#files.chunk(inputFileId, this.#seq++);
    const last = chunk === null ? this.#cutter.end() : null;
    this.#ledger.together(() => {
      if (chunk !== null) for (const line of this.#cutter.push(chunk)) this.#take(line);
      if (last !== null) this.#take(last);
    });
    if (this.#stopped) return true;
    if (chunk !== null) return false;
    if (this.total === 0 && this.errors.length === 0) {
      this.#wrong('empty_file', 'The input file has no requests.', null);
    }
    return true;
  }

  /** Reading on would tell nothing more. */
  get #stopped(): boolean {
    return this.#full || this.errors.length >= LIMITS.batchErrors;
  }

  #take({ start, length, bytes }: CutLine): void {
    const line = ++this.#lines;
    if (this.#stopped) return;
    if (bytes === null) {
      this.#wrong('line_too_long', `This line has more than ${LIMITS.batchLineBytes} bytes.`, line);
      return;
    }
    const text = textOf(bytes);
    if (text?.trim() === '') return;
    const parsed =
      text === null
        ? { code: 'invalid_json_line', message: 'This line is not valid UTF-8.', param: null }
        : parseInputLine(text, this.#batch.endpoint);
    if ('code' in parsed) {
      this.errors.push({ ...parsed, line });
      return;
    }
    if (++this.total > LIMITS.batchLines) {
      this.#wrong('too_many_requests', `The file has more than ${LIMITS.batchLines} requests.`, line);
      this.#full = true;
      return;
    }
    const { customId } = parsed;
    if (!this.#ledger.addLine(this.#batch.id, { line, start, length, customId })) {
      const message = `Another line has the custom_id ${JSON.stringify(customId)}.`;
      this.errors.push({ code: 'duplicate_custom_id', message, param: 'custom_id', line });
    }
  }

  #wrong(code: string, message: string, line: number | null): void {
    this.errors.push({ code, message, param: null, line });
  }
}

/** null: not UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
