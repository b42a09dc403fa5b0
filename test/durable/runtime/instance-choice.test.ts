/** Who takes a call: everybody's turn, nobody who is known to be down while others are there, and the one that was named. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instance } from '../../../durable/runtime/instance.ts';
import { type CallMode, InstanceChoice } from '../../../durable/runtime/instance-choice.ts';

const NAME = { namespace: 'n', component: 'c', endpoint: 'e' };
const instance = (id: number, http = `http://${id}`): Instance => ({
  ...NAME,
  instanceId: id.toString(16).padStart(16, '0'),
  http,
  grpc: null,
  idempotent: false,
});

function choiceOf(...ids: number[]) {
  const choice = new InstanceChoice(NAME);
  choice.replace(ids.map((id) => instance(id)));
  const choose = (
    mode: CallMode = 'round_robin',
    tried: string[] = [],
    instanceId: string | null = null,
    random = 0,
  ) => Number.parseInt(choice.choose({ mode, instanceId, tried: new Set(tried), random }).instanceId, 16);
  const down = (id: number) => choice.reportDown(instance(id).instanceId);
  return { choice, choose, down };
}

test('in turn, each as often as the others', () => {
  const { choose } = choiceOf(1, 2, 3);
  const seen = Array.from({ length: 9 }, () => choose());
  for (const id of [1, 2, 3]) expect(seen.filter((each) => each === id)).toHaveLength(3);
});

test('one that is down is passed over until discovery says anything new, not the same again', () => {
  const { choice, choose, down } = choiceOf(1, 2);
  down(1);
  const three = () => [choose(), choose(), choose('random')];
  expect(three()).toEqual([2, 2, 2]);
  choice.replace([instance(1), instance(2)]);
  expect(three()).toEqual([2, 2, 2]);
  choice.replace([instance(1, 'http://elsewhere'), instance(2)]);
  expect(new Set([choose(), choose()])).toEqual(new Set([1, 2]));
});

test('when all are down all are tried again, but none twice for one call', () => {
  const { choose, down } = choiceOf(1, 2);
  down(1);
  down(2);
  const first = choose();
  const second = choose('round_robin', [instance(first).instanceId]);
  expect([first, second].sort()).toEqual([1, 2]);
  expect(() =>
    choose(
      'random',
      [1, 2].map((id) => instance(id).instanceId),
    ),
  ).toThrow(/can be reached/);
});

test('by name: that one, down or not, with or without zeros, or nobody', () => {
  const { choose, down } = choiceOf(0xab, 2);
  down(0xab);
  expect(choose('direct', [], 'AB')).toBe(0xab);
  expect(choose('direct', [], '00000000000000ab')).toBe(0xab);
  expect(() => choose('direct', [], 'abc')).toThrow(/no instance abc/);
  expect(() => choiceOf().choose()).toThrow(/has no instance/);
});

test('whatever happened before, a call gets an instance that is there and that it has not tried', () => {
  const id = fc.integer({ min: 1, max: 5 });
  const act = fc.oneof(
    fc.record({ do: fc.constant('replace' as const), ids: fc.uniqueArray(id) }),
    fc.record({ do: fc.constant('down' as const), id }),
    fc.record({
      do: fc.constant('call' as const),
      tried: fc.uniqueArray(id),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
  );
  fc.assert(
    fc.property(fc.array(act), (acts) => {
      const { choice, choose, down } = choiceOf();
      let there: number[] = [];
      for (const each of acts) {
        if (each.do === 'down') down(each.id);
        else if (each.do === 'replace') {
          there = each.ids;
          choice.replace(there.map((one) => instance(one)));
        } else {
          const left = there.filter((one) => !each.tried.includes(one));
          const tried = each.tried.map((one) => instance(one).instanceId);
          if (left.length === 0) expect(() => choose('random', tried, null, each.random)).toThrow();
          else expect(left).toContain(choose('random', tried, null, each.random));
        }
      }
    }),
  );
});
