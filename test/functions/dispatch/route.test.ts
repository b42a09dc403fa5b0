/** What a request's headers say of its place in the router's queue. */

import { expect, test } from 'vitest';
import type { RouteRequest } from '../../../durable/router/rpc.ts';
import { classify } from '../../../functions/dispatch/route.ts';

const classified = (headers: Record<string, string>) => {
  const request: RouteRequest = {
    requestId: 'r',
    model: 'm',
    blockHashes: new Uint8Array(),
    promptTokens: 1,
  };
  classify({ request: new Request('http://stator/', { headers }) } as never, 'elsewhere', request);
  const { policyClass, strictPriority } = request;
  return { policyClass, strictPriority };
};

test('a policy class is named by its header, and that of batches is below all tiers', () => {
  expect(classified({})).toEqual({ policyClass: undefined, strictPriority: undefined });
  expect(classified({ 'x-dynamo-meta-policy-class': 'gold' })).toEqual({
    policyClass: 'gold',
    strictPriority: undefined,
  });
  expect(classified({ 'x-dynamo-meta-policy-class': 'batch' })).toEqual({
    policyClass: 'batch',
    strictPriority: -1,
  });
});
