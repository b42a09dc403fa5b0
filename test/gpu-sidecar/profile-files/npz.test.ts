/** Are arrays that NumPy wrote read as they are, and files that are broken, or made to harm, refused by name? */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, it, test } from 'vitest';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { readNpy, writeNpy } from '../../../gpu-sidecar/profile-files/npy.ts';
import { readNpz, writeNpz } from '../../../gpu-sidecar/profile-files/npz.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', 'fixtures', 'profiles');
const file = (name: string) => new Uint8Array(readFileSync(join(FIXTURES, name)));

describe('what NumPy wrote (test/fixtures/make_profiles.py)', () => {
  const arrays = readNpz(file('types.npz'), 'types.npz');

  it.each(['float64', 'float32', 'big', 'int64', 'int32', 'uint8', 'fortran'])('%s', (key) => {
    const { shape, values } = arrays.get(key)!;
    expect(shape).toEqual([2, 3]);
    expect([...values]).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('three axes in Fortran order come in C order', () => {
    const { shape, values } = arrays.get('cube')!;
    expect(shape).toEqual([2, 3, 4]);
    expect([...values]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  it('a single number, nothing at all, and what is no number', () => {
    expect(arrays.get('scalar')).toEqual({ shape: [], values: Float64Array.of(7) });
    expect(arrays.get('empty')).toEqual({ shape: [0], values: new Float64Array() });
    expect([...arrays.get('holes')!.values]).toEqual([1, Number.NaN, Number.POSITIVE_INFINITY]);
  });

  it('deflated as well as stored', () => {
    const mocker = readNpz(file('mocker.npz'), 'mocker.npz');
    expect(mocker.get('decode_itl')!.shape).toEqual([9, 3]);
  });
});

test('what we write is read again, whatever its shape', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), fc.double(), (shape, first) => {
      const count = shape.reduce((product, length) => product * length, 1);
      const array = { shape, values: Float64Array.from({ length: count }, (_, i) => first + i) };
      expect(readNpz(writeNpz(new Map([['a', array]])), 'a.npz')).toEqual(new Map([['a', array]]));
    }),
  );
});

test('the same arrays give the same bytes', () => {
  const array = { shape: [2], values: Float64Array.of(1, 2) };
  const write = () => writeNpz(new Map([['a', array]]));
  expect(write()).toEqual(write());
});

describe('refused, with a reason', () => {
  const whole = file('types.npz');
  const good = writeNpy({ shape: [2], values: Float64Array.of(1, 2) });
  const header = (text: string) => {
    const bytes = good.slice();
    bytes.set(new TextEncoder().encode(text.padEnd(good.length - 16 - 10 - 1)), 10);
    return bytes;
  };

  it.each([
    ['Python objects', () => readNpz(file('objects.npz'), 'x'), 'x: things holds Python objects'],
    ['words', () => readNpz(file('words.npz'), 'x'), 'x: words has values of type <U2, want numbers'],
    ['no zip', () => readNpz(new TextEncoder().encode('{"a": 1}'), 'x'), 'x is no .npz archive'],
    ['nothing', () => readNpz(new Uint8Array(), 'x'), 'x is no .npz archive'],
    ['half a zip', () => readNpz(whole.subarray(0, whole.length / 2), 'x'), 'x is no .npz archive'],
    [
      'an array that ends early',
      () => readNpy(good.subarray(0, -1), 'x'),
      'wants 16 bytes for shape (2) and has 15',
    ],
    ['an array with something behind', () => readNpy(Uint8Array.of(...good, 1), 'x'), 'and has 17'],
    ['half a header', () => readNpy(good.subarray(0, 20), 'x'), 'x ends within its header'],
    ['a text', () => readNpy(new TextEncoder().encode('hello, world'), 'x'), 'x is no .npy array'],
    ['a later version', () => readNpy(good.with(6, 9), 'x'), 'version 9'],
    [
      'a record',
      () => readNpy(header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}"), 'x'),
      'no plain array',
    ],
    [
      'a negative shape',
      () => readNpy(header("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}"), 'x'),
      'no plain array',
    ],
    [
      'a shape without end',
      () => readNpy(header(`{'descr': '<f8', 'fortran_order': False, 'shape': (${'9'.repeat(40)},)}`), 'x'),
      'x wants 8e+40 bytes',
    ],
  ])('%s', (_name, read, message) => {
    expect(read).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining(message) }),
    );
  });

  it('a bomb: it says what it unpacks to, and is not unpacked', () => {
    const bomb = zipSync({ 'a.npy': new Uint8Array(LIMITS.npzBytes + 1) }, { level: 1 });
    expect(bomb.length).toBeLessThan(LIMITS.npzBytes / 100);
    expect(() => readNpz(bomb, 'x')).toThrow(`unpacks to more than ${LIMITS.npzBytes} bytes`);
  });

  it('a bomb that lies about its size gets no more than it says', () => {
    const bomb = zipSync({ 'a.npy': new Uint8Array(8 * 1024 * 1024) });
    const view = new DataView(bomb.buffer);
    // The uncompressed size in the central directory, which is the last thing but the end record.
    const directory = view.getUint32(bomb.length - 6, true);
    view.setUint32(directory + 24, 64, true);
    expect(() => readNpz(bomb, 'x')).toThrow('x');
  });

  it('a crowd', () => {
    const crowd = Object.fromEntries(
      Array.from({ length: LIMITS.npzEntries + 1 }, (_, i) => [`${i}.npy`, good]),
    );
    expect(() => readNpz(zipSync(crowd), 'x')).toThrow(`more than ${LIMITS.npzEntries} entries`);
  });

  it('anything at all: an error of ours and nothing else', () => {
    const spoiled = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => whole.with(at, byte));
    fc.assert(
      fc.property(spoiled, (bytes) => {
        try {
          readNpz(bytes, 'x');
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'invalid_request' });
        }
      }),
      { numRuns: 300 },
    );
  });
});
