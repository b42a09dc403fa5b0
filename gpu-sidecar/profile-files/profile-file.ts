/**
 * A profile from a path, whichever form it has: the JSON of `stator profile`, a folder with that or with the two files of
 * Dynamo's profiler, or the one file of its mocker.
 */

import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { type ProfileData, profileTables } from '../../durable/runtime/profile/profile-tables.ts';
import { DECODE_FILE, mockerProfile, type Named, PREFILL_FILE, plannerProfile } from './dynamo-arrays.ts';
import { readNpz } from './npz.ts';

export const JSON_FILE = 'profile.json';

/** Checked. Throws `invalid_request` that names the file and what is wrong with it. */
export function readProfile(path: string): ProfileData {
  const data = isFolder(path) ? readFolder(path) : readOne(path);
  try {
    profileTables(data);
  } catch (thrown) {
    if (!(thrown instanceof StatorError)) throw thrown;
    throw invalid(path, thrown.message);
  }
  return data as ProfileData;
}

function readFolder(path: string): unknown {
  if (isThere(join(path, JSON_FILE))) return readJson(join(path, JSON_FILE));
  const files = [PREFILL_FILE, DECODE_FILE].map((file) => join(path, file));
  const missing = files.find((file) => !isThere(file));
  if (missing !== undefined)
    throw invalid(path, `has neither ${JSON_FILE} nor ${missing.slice(path.length + 1)}`);
  return plannerProfile({ prefill: readArrays(files[0]!), decode: readArrays(files[1]!) });
}

function readOne(path: string): unknown {
  if (!path.endsWith('.npz')) return readJson(path);
  const file = readArrays(path);
  // One half of the planner's two files stands for both.
  const folder = dirname(dirname(path));
  const isHalf = [PREFILL_FILE, DECODE_FILE].some(
    (half) => join(basename(dirname(path)), basename(path)) === half,
  );
  return isHalf ? readFolder(folder) : mockerProfile(file);
}

const readArrays = (path: string): Named => ({ name: path, arrays: readNpz(readBounded(path), path) });

function readJson(path: string): unknown {
  const bytes = readBounded(path);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (thrown) {
    throw invalid(path, `is no JSON: ${(thrown as Error).message}`);
  }
}

function readBounded(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > LIMITS.profileFileBytes)
      throw invalid(path, `has ${size} bytes, at most ${LIMITS.profileFileBytes} are read`);
    return readFileSync(path);
  } catch (thrown) {
    if (thrown instanceof StatorError) throw thrown;
    throw invalid(path, `cannot be read (${(thrown as NodeJS.ErrnoException).code})`);
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

const invalid = (path: string, what: string) =>
  new StatorError('invalid_request', `${path}: ${what}`, { param: path });
