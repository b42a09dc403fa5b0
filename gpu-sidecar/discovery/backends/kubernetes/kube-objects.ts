/**
 * The objects of Kubernetes that discovery reads, as much of them as it needs. What is not of this shape is passed over.
 *
 * `WorkerMetadata` is ours (deploy/kubernetes/workermetadata-crd.yaml): one for each Pod, or for each process that is in none, with
 * all that it has put as `spec.entries`. Its owner is that Pod, or that process's Lease: when the owner goes, Kubernetes
 * removes it.
 */

import * as z from 'zod';

export const GROUP = 'stator.internal';
export const VERSION = 'v1';
export const PLURAL = 'workermetadatas';
/** On Services, whose EndpointSlices then have it, and on Leases. */
export const LABEL = `${GROUP}/discovery`;

const metadataSchema = z.looseObject({
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  ownerReferences: z
    .array(z.looseObject({ kind: z.string(), name: z.string(), uid: z.string() }))
    .default([]),
});

export const workerMetadataSchema = z.looseObject({
  metadata: metadataSchema,
  spec: z.looseObject({ entries: z.record(z.string(), z.string()).default({}) }),
});
export type WorkerMetadata = z.output<typeof workerMetadataSchema>;

export const sliceSchema = z.looseObject({
  metadata: metadataSchema,
  endpoints: z
    .array(
      z.looseObject({
        conditions: z.looseObject({ ready: z.boolean().nullish() }).nullish(),
        targetRef: z.looseObject({ kind: z.string(), name: z.string(), uid: z.string() }).partial().nullish(),
      }),
    )
    .nullish(),
});
export type EndpointSlice = z.output<typeof sliceSchema>;

export const leaseSchema = z.looseObject({
  metadata: metadataSchema,
  spec: z.looseObject({ renewTime: z.string(), leaseDurationSeconds: z.number() }),
});
export type Lease = z.output<typeof leaseSchema>;
