/** Policy classes: which request belongs to which, and what is wrong with a document, by field. */

import { describe, expect, test } from 'vitest';
import { checkedPolicy } from '../../../../durable/router/queue/configured-policy.ts';
import { policyProfile } from '../../../../durable/router/queue/policy-profile.ts';

const entry = (name: string, policy_family?: string, cache_bucket?: string) => ({
  name,
  quantum: 1,
  ...(policy_family ? { policy_family } : {}),
  ...(cache_bucket ? { cache_bucket } : {}),
});
const BUCKETS = [
  { min_tokens: 0, bucket: 'short' },
  { min_tokens: 1_000, bucket: 'long' },
];
const CLASSES = [
  entry('chat-short', 'chat', 'short'),
  entry('chat-long', 'chat', 'long'),
  entry('batch-short', 'batch', 'short'),
  entry('batch-long', 'batch', 'long'),
  entry('vip'),
];
const document = (policy_classes: object[] = CLASSES, uncached_isl_buckets: object[] = BUCKETS) => ({
  default_policy_family: 'chat',
  uncached_isl_buckets,
  policy_classes,
});

describe('a request belongs to', () => {
  const profile = policyProfile(checkedPolicy(document()), 'any model');
  const classOf = (requested: string | undefined, tokens: number) =>
    profile.classes[profile.classify(requested, () => tokens)]!.name;

  test.each([
    ['chat', 0, 'chat-short'],
    ['chat', 999, 'chat-short'],
    ['chat', 1_000, 'chat-long'],
    ['batch', 5_000_000, 'batch-long'],
    [undefined, 10, 'chat-short'],
    ['nobody', 2_000, 'chat-long'],
    ['chat-long', 10, 'chat-short'],
    ['vip', 2_000, 'vip'],
    ['__proto__', 10, 'chat-short'],
  ])('family %s with %i uncached tokens: %s', (requested, tokens, name) => {
    expect(classOf(requested, tokens)).toBe(name);
  });

  test('an explicit class without anybody looking at the cache', () => {
    const never = () => {
      throw new Error('asked');
    };
    expect(profile.classify('vip', never)).toBe(4);
  });
});

test('a model may have classes of its own', () => {
  const own = {
    default_policy_family: 'x',
    uncached_isl_buckets: [BUCKETS[0]],
    policy_classes: [entry('x', 'x', 'short')],
  };
  const checked = checkedPolicy({ router_queue_threshold: 1, models: { special: own } });
  expect(policyProfile(checked, 'special').classes.map(({ name }) => name)).toEqual(['x']);
  expect(policyProfile(checked, 'other').classes.map(({ name }) => name)).toEqual(['default']);
});

describe('refused by field:', () => {
  const more = (fields: object) => document([{ ...CLASSES[0], ...fields }, ...CLASSES.slice(1)]);
  test.each<[string, object, string]>([
    ['a quantum of 0', more({ quantum: 0 }), 'policy_classes[0].quantum'],
    ['an unknown field', more({ quantums: 1 }), 'quantums'],
    ['a name with a space', more({ name: 'a b' }), 'policy_classes[0].name'],
    ['an unknown order', more({ queue_policy: 'sjf' }), 'policy_classes[0].queue_policy'],
    ['a share below 0', more({ prefill_busy_threshold_frac: -1 }), 'prefill_busy_threshold_frac'],
    ['a deadline of 0', more({ slo_ms: 0 }), 'slo_ms'],
    ['an unknown bucket', more({ cache_bucket: 'medium' }), 'policy_classes[0].cache_bucket'],
    ['half a place', document([entry('a', 'chat')]), 'policy_classes[0]'],
    ['one name twice', document([...CLASSES, entry('vip')]), 'policy_classes[5]'],
    ['one place twice', document([...CLASSES, entry('other', 'chat', 'long')]), 'policy_classes[5]'],
    ['an empty place', document(CLASSES.slice(1)), 'no class for bucket "short"'],
    ['a class named as a family', document([...CLASSES, entry('chat')]), 'a class and a family'],
    ['an unknown default', { ...document(), default_policy_family: 'x' }, 'default_policy_family'],
    [
      'buckets that begin above 0',
      document(CLASSES, [{ min_tokens: 1, bucket: 'short' }]),
      'uncached_isl_buckets',
    ],
    [
      'buckets that fall',
      document(CLASSES, [...BUCKETS, { min_tokens: 10, bucket: 'x' }]),
      'uncached_isl_buckets[2]',
    ],
    [
      'classes without buckets',
      { policy_classes: CLASSES, default_policy_family: 'chat' },
      'belong together',
    ],
    ['a negative threshold', { router_queue_threshold: -1 }, 'router_queue_threshold'],
    ['a model that is wrong', { models: { m: document([]) } }, 'models.m.policy_classes'],
    ['no object', [] as object, 'queue policy'],
  ])('%s', (_, json, words) => {
    expect(() => checkedPolicy(json)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining(words) }),
    );
  });
});
