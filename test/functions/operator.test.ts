/** The chain of operators. */

import { expect, test } from 'vitest';
import type { Call } from '../../functions/call.ts';
import { Chain } from '../../functions/operator.ts';

const call = {} as Call;

test('forward sides run in order and backward sides in reverse, promises or not', async () => {
  const seen: string[] = [];
  const noted = (name: string) => (response: Response) => {
    seen.push(name);
    return response;
  };
  const pipeline = Chain.of<number, number>({
    name: 'first',
    forward: (value) => value + 1,
    backward: noted('first'),
  })
    .pipe<string>({ name: 'second', forward: async (value) => `<${value}>` })
    .pipe<string>({
      name: 'third',
      forward: (value) => value + value,
      backward: noted('third'),
    })
    .answeredBy({ name: 'last', forward: (value) => new Response(value) });
  expect(await (await pipeline.run(1, call)).text()).toBe('<2><2>');
  expect(seen).toEqual(['third', 'first']);
});

test('what an operator throws leaves the pipeline, and nothing behind it runs', async () => {
  let ran = false;
  const pipeline = Chain.of<number, number>({
    name: 'bad',
    forward() {
      throw new Error('no');
    },
  }).answeredBy({
    name: 'last',
    forward() {
      ran = true;
      return new Response();
    },
  });
  await expect(pipeline.run(1, call)).rejects.toThrow('no');
  expect(ran).toBe(false);
});
