/** Who counts as there, by what Kubernetes says of Pods and Leases; and when a silent process no longer does. */

import { describe, expect, it } from 'vitest';
import {
  type EndpointSlice,
  type Lease,
  leaseSchema,
  sliceSchema,
  type WorkerMetadata,
  workerMetadataSchema,
} from '../../../gpu-sidecar/discovery/backends/kubernetes/kube-objects.ts';
import { LeaseWatch, presentEntries } from '../../../gpu-sidecar/discovery/backends/kubernetes/presence.ts';

const KEY = 'v1/instances/default/backend/generate/a1';
const named = (name: string, uid: string, more = {}) => ({ name, uid, resourceVersion: '1', ...more });
const metadataOf = (owner: string, entries: Record<string, string>): WorkerMetadata =>
  workerMetadataSchema.parse({
    metadata: named(owner, `m-${owner}`, { ownerReferences: [{ kind: 'Pod', name: owner, uid: owner }] }),
    spec: { entries },
  });
const sliceOf = (...endpoints: object[]): EndpointSlice =>
  sliceSchema.parse({ metadata: named('slice', 's'), endpoints });
const pod = (uid: string) => ({ targetRef: { kind: 'Pod', name: uid, uid } });
const leaseOf = (uid: string, renewMs: number): Lease =>
  leaseSchema.parse({
    metadata: named(uid, uid),
    spec: { renewTime: new Date(renewMs).toISOString(), leaseDurationSeconds: 10 },
  });
const none = () => false;

describe('entries of Pods', () => {
  const metadata = [metadataOf('pod-1', { [KEY]: '{}' })];

  it('count while an EndpointSlice says that the Pod is ready, or says nothing of it', () => {
    const ready = (conditions: object | null) =>
      presentEntries({ metadata, slices: [sliceOf({ ...pod('pod-1'), conditions })], leases: [] }, none);
    expect(ready({ ready: true })).toEqual([{ key: KEY, value: '{}' }]);
    expect(ready(null)).toHaveLength(1);
    expect(ready({})).toHaveLength(1);
    expect(ready({ ready: false })).toEqual([]);
    expect(ready({ ready: false, serving: true, terminating: true })).toEqual([]);
  });

  it('count in any of several Services, and not for another Pod of that name', () => {
    const slices = [sliceOf({ ...pod('pod-1'), conditions: { ready: false } }), sliceOf(pod('pod-1'))];
    expect(presentEntries({ metadata, slices, leases: [] }, none)).toHaveLength(1);
    const next = sliceOf({ targetRef: { kind: 'Pod', name: 'pod-1', uid: 'pod-1-again' } });
    expect(presentEntries({ metadata, slices: [next], leases: [] }, none)).toEqual([]);
  });

  it('that belong to nobody never count', () => {
    const orphan = workerMetadataSchema.parse({
      metadata: named('x', 'x'),
      spec: { entries: { [KEY]: '{}' } },
    });
    expect(presentEntries({ metadata: [orphan], slices: [sliceOf(pod('x'))], leases: [] }, none)).toEqual([]);
  });
});

describe('Leases', () => {
  it('count until they have been silent for their time, by the clock of the reader', () => {
    const watch = new LeaseWatch();
    // Its own clock is an hour ahead, or behind: at first sight alone that matters.
    const ahead = leaseOf('ahead', 3_600_000);
    watch.see([ahead], 0);
    watch.expire(10_000);
    expect(watch.isExpired(ahead)).toBe(false);
    expect(watch.nextMs()).toBe(10_000);
    watch.expire(10_001);
    expect(watch.isExpired(ahead)).toBe(true);
    const renewed = leaseOf('ahead', 3_600_001);
    watch.see([renewed], 11_000);
    expect(watch.isExpired(renewed)).toBe(false);
    expect(watch.nextMs()).toBe(21_000);
  });

  it('that ran out before they were seen do not count until they are renewed', () => {
    const watch = new LeaseWatch();
    const old = leaseOf('old', 1_000_000);
    watch.see([old], 1_020_000);
    expect(watch.isExpired(old)).toBe(true);
    expect(watch.nextMs()).toBeNull();
    const renewed = leaseOf('old', 1_000_001);
    watch.see([renewed], 1_021_000);
    expect(watch.isExpired(renewed)).toBe(false);
  });

  it('begin anew after an outage of the server, in which nobody could renew', () => {
    const watch = new LeaseWatch();
    const lease = leaseOf('a', 0);
    watch.see([lease], 0);
    watch.extend(60_000);
    watch.expire(65_000);
    expect(watch.isExpired(lease)).toBe(false);
    watch.expire(70_001);
    expect(watch.isExpired(lease)).toBe(true);
  });

  it('that were deleted are forgotten', () => {
    const watch = new LeaseWatch();
    watch.see([leaseOf('a', 0)], 0);
    watch.see([], 5_000);
    expect(watch.nextMs()).toBeNull();
  });
});
