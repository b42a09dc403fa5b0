/**
 * `POST /v1/files`: a form with the content of a file, sent on to the Batches object in pieces as it comes. Fields may stand
 * before and behind it. What fails on the way leaves nothing behind.
 */
import type { FileRecord } from '../../durable/batches/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { concat } from '../bytes.ts';
import { type BatchesStub, batchesOf, type Env } from '../env.ts';
import { invalid, parseBody } from '../openai/parse.ts';
import { fileDocument, granted } from './documents.ts';
import { fileFormSchema } from './files-schema.ts';
import { boundaryOf, type MultipartEvent, MultipartReader } from './multipart.ts';

/** Of a form besides its file. */
const MOST_FIELD_BYTES = 4 * 1024;
const MOST_FIELDS = 16;
const decoder = new TextDecoder();

/** Throws `invalid_request` naming the field, or `body_too_large`. */
export async function uploadFile(env: Env, request: Request, nowMs: number): Promise<Response> {
  const boundary = boundaryOf(request.headers.get('content-type'));
  if (
    Number(request.headers.get('content-length') ?? 0) >
    LIMITS.fileBytes + MOST_FIELD_BYTES * MOST_FIELDS
  ) {
    throw new StatorError('body_too_large', `The file is larger than ${LIMITS.fileBytes} bytes.`, {
      param: 'file',
    });
  }
  const upload = new Upload(batchesOf(env));
  const body = request.body?.getReader();
  try {
    const reader = new MultipartReader(boundary);
    for (let part = await body?.read(); part !== undefined && !part.done; part = await body?.read()) {
      for (const event of reader.push(part.value)) await upload.take(event);
    }
    reader.end();
    return Response.json(fileDocument(await upload.finish(nowMs)));
  } catch (thrown) {
    await body?.cancel(thrown).catch(() => {});
    await upload.abandon();
    throw thrown;
  }
}

/** One form on its way. */
class Upload {
  readonly #object: BatchesStub;
  readonly #fields = new Map<string, string>();
  /** The part that comes: the file, a field by its name, or one that nobody wants. */
  #current: { kind: 'file' } | { kind: 'field'; name: string } | null = null;
  #id: string | null = null;
  #filename = '';
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  constructor(object: BatchesStub) {
    this.#object = object;
  }

  async take(event: MultipartEvent): Promise<void> {
    if (event.kind === 'part') return this.#part(event.name, event.filename);
    if (this.#current === null) return;
    if (this.#current.kind === 'file') return this.#content(event.bytes);
    const { name } = this.#current;
    const value = (this.#fields.get(name) ?? '') + decoder.decode(event.bytes);
    if (value.length > MOST_FIELD_BYTES) throw invalid(name, `at most ${MOST_FIELD_BYTES} characters.`);
    this.#fields.set(name, value);
  }

  async finish(nowMs: number): Promise<FileRecord> {
    if (this.#id === null) {
      throw new StatorError('invalid_request', "Missing required parameter: 'file'.", { param: 'file' });
    }
    const form = parseBody(fileFormSchema, Object.fromEntries(this.#fields));
    await this.#flush(0);
    const afterS = form['expires_after[seconds]'];
    return granted(
      await this.#object.finishFile(this.#id, {
        filename: this.#filename,
        purpose: form.purpose,
        expiresMs: afterS === undefined ? null : nowMs + afterS * 1000,
      }),
    );
  }

  async abandon(): Promise<void> {
    // What cannot be told is forgotten by the object itself.
    if (this.#id !== null) await this.#object.abandonFile(this.#id).catch(() => {});
  }

  async #part(name: string, filename: string | null): Promise<void> {
    if (name !== 'file') {
      if (this.#fields.size >= MOST_FIELDS) throw invalid(name, `at most ${MOST_FIELDS} fields.`);
      this.#fields.set(name, '');
      this.#current = { kind: 'field', name };
      return;
    }
    if (this.#id !== null) throw invalid('file', 'one file a request.');
    this.#id = granted(await this.#object.beginFile()) as string;
    this.#filename = (filename ?? 'file').toWellFormed().slice(0, LIMITS.fileNameLength);
    this.#current = { kind: 'file' };
  }

  async #content(bytes: Uint8Array): Promise<void> {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    await this.#flush(LIMITS.fileChunkBytes);
  }

  /** Sends pieces while at least so many bytes wait. */
  async #flush(least: number): Promise<void> {
    while (this.#waitingBytes > 0 && this.#waitingBytes >= least) {
      const all = concat(this.#waiting);
      const piece = all.slice(0, LIMITS.fileChunkBytes);
      const rest = all.subarray(piece.byteLength);
      this.#waiting = rest.byteLength === 0 ? [] : [rest];
      this.#waitingBytes = rest.byteLength;
      granted(await this.#object.appendFile(this.#id!, piece));
    }
  }
}
