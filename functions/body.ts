/**
 * Reading a request body with a bound: the declared length is checked before a byte is read, an undeclared one
 * (chunked) is cut while reading. Bytes must be UTF-8 and the text JSON.
 */
import { StatorError } from '../durable/runtime/errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });

/** The parsed JSON body. Throws `body_too_large` or `invalid_json`. */
export async function readJson(request: Request, limitBytes: number): Promise<unknown> {
  const declared = request.headers.get('content-length');
  if (declared !== null && Number(declared) > limitBytes) throw tooLarge(limitBytes);
  const bytes = declared === null ? await readBounded(request.body, limitBytes) : await request.arrayBuffer();
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (cause) {
    throw new StatorError('invalid_json', 'The request body is not valid UTF-8.', { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'not JSON';
    throw new StatorError('invalid_json', `We could not parse the JSON body of your request: ${reason}`, {
      cause,
    });
  }
}

async function readBounded(body: ReadableStream<Uint8Array> | null, limitBytes: number): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.byteLength;
    if (size > limitBytes) {
      await reader.cancel('body too large');
      throw tooLarge(limitBytes);
    }
    chunks.push(value);
  }
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}

function tooLarge(limitBytes: number): StatorError {
  return new StatorError('body_too_large', `The request body is larger than ${limitBytes} bytes.`);
}
