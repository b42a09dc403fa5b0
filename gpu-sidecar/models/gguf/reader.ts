/**
 * The header of a GGUF file: its metadata and its list of tensors, every length checked against the file, so that a
 * broken file is a clear error before native code sees it.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
 *
 * The header is read in growing pieces (tensor data never), and parsed from the start again when a piece was too
 * short; sizes double, so that costs at most twice the work.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { ByteCursor, EndOfBytes } from './cursor.ts';
import { checkTensors, type GgufTensor, readTensorInfo } from './tensors.ts';
import { type GgufValue, readValue } from './values.ts';

const MAGIC = 0x46554747;
const FIRST_PIECE_BYTES = 1024 * 1024;
/** Fewest bytes of a metadata entry and of a tensor's description. */
const ENTRY_BYTES = 13;
const TENSOR_BYTES = 24;

export interface GgufHeader {
  path: string;
  fileBytes: number;
  modifiedMs: number;
  version: number;
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: readonly GgufTensor[];
  /** Where the tensors' data begins, and the alignment of each. */
  dataStart: number;
  alignment: number;
}

/** Throws StatorError `invalid_request` naming the file and what is wrong with it. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw broken(path, `cannot be opened (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
  try {
    const { size, mtimeMs } = await file.stat();
    const parsed = await parseGrowing(file, size);
    return { path, fileBytes: size, modifiedMs: Math.floor(mtimeMs), ...parsed };
  } catch (thrown) {
    if (thrown instanceof EndOfBytes) throw broken(path, 'is cut off within its header', thrown);
    if (thrown instanceof RangeError) throw broken(path, thrown.message, thrown);
    if (thrown instanceof Error && 'code' in thrown && !(thrown instanceof StatorError)) {
      throw broken(path, `cannot be read (${thrown.code})`, thrown);
    }
    throw thrown;
  } finally {
    await file.close();
  }
}

async function parseGrowing(file: FileHandle, fileBytes: number) {
  for (let length = FIRST_PIECE_BYTES; ; length *= 2) {
    const bytes = new Uint8Array(Math.min(length, fileBytes));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, filled);
      if (bytesRead === 0) throw new EndOfBytes();
      filled += bytesRead;
    }
    try {
      return parseGgufHeader(bytes, fileBytes);
    } catch (thrown) {
      const atEnd = bytes.length === fileBytes;
      if (!(thrown instanceof EndOfBytes) || atEnd) throw thrown;
      if (length > LIMITS.ggufHeaderBytes) throw new RangeError('has a header that is too large');
    }
  }
}

/** Parses the leading bytes of a file of `fileBytes`. Throws EndOfBytes when they are too few, RangeError when wrong. */
export function parseGgufHeader(bytes: Uint8Array, fileBytes: number) {
  const cursor = new ByteCursor(bytes);
  if (cursor.u32() !== MAGIC) throw new RangeError('is not a GGUF file');
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw new RangeError(`has GGUF version ${version}; 2 and 3 are known`);
  const tensorCount = cursor.u64();
  const entryCount = cursor.u64();
  if (tensorCount * TENSOR_BYTES > fileBytes) throw new RangeError(`claims ${tensorCount} tensors`);
  if (entryCount * ENTRY_BYTES > fileBytes) throw new RangeError(`claims ${entryCount} metadata entries`);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = cursor.text(fileBytes);
    if (metadata.has(key)) throw new RangeError(`has the metadata key ${JSON.stringify(key)} twice`);
    metadata.set(key, readValue(cursor, { key, fileBytes }));
  }
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < tensorCount; i++) tensors.push(readTensorInfo(cursor, fileBytes));
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || alignment < 1 || (alignment & (alignment - 1)) !== 0) {
    throw new RangeError(`has general.alignment ${String(alignment)}, which is no power of two`);
  }
  const dataStart = Math.ceil(cursor.at / alignment) * alignment;
  checkTensors(tensors, { dataStart, fileBytes });
  return { version, metadata, tensors, dataStart, alignment };
}

function broken(path: string, what: string, cause: unknown): StatorError {
  return new StatorError('invalid_request', `${path} ${what}`, { param: 'model', cause });
}
