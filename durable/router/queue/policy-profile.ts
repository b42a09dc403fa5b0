/**
 * The classes of one model and who belongs to which (semantics §1.7): families × buckets of the exact uncached prompt
 * length, each cell one class; classes outside that table are asked for by name.
 */

import {
  type ClassDocument,
  type PolicyDocument,
  type ProfileDocument,
  policyError,
  type QueuePolicyName,
} from './policy-document.ts';

export interface PolicyClass {
  readonly name: string;
  readonly queuePolicy: QueuePolicyName;
  readonly quantum: number;
  /** A worker is busy when its prefill tokens are above this number, or above this share of a pass. All null: never. */
  readonly busyTokens: number | null;
  readonly busyFraction: number | null;
  /** Or when a prompt that came now would wait longer than this for those ahead of it. */
  readonly busyWaitMs: number | null;
  /** Per worker. */
  readonly limits: { requests: number | null; rawIslTokens: number | null; cachedTokens: number | null };
  /** Longest wait. */
  readonly sloMs: number | null;
}

export interface PolicyProfile {
  readonly classes: readonly PolicyClass[];
  /** False: no class ever waits. */
  readonly queues: boolean;
  /** Index of the class. `uncachedTokens` is asked only where lengths matter. */
  classify(requested: string | undefined, uncachedTokens: () => number): number;
}

/** Throws `invalid_request` when the fields do not fit together. */
export function policyProfile(document: PolicyDocument, modelName: string): PolicyProfile {
  const own = Object.hasOwn(document.models, modelName) ? document.models[modelName] : undefined;
  if (own) return tableProfile(own, `models.${modelName}.`);
  const { default_policy_family, uncached_isl_buckets, policy_classes } = document;
  if (default_policy_family && uncached_isl_buckets && policy_classes) {
    return tableProfile({ default_policy_family, uncached_isl_buckets, policy_classes }, '');
  }
  if (default_policy_family || uncached_isl_buckets || policy_classes) {
    const message = 'default_policy_family, uncached_isl_buckets and policy_classes belong together';
    throw policyError('policy_classes', message);
  }
  return singleProfile(document);
}

/** Checks every profile of the document. */
export function checkProfiles(document: PolicyDocument): void {
  policyProfile(document, '');
  for (const model of Object.keys(document.models)) policyProfile(document, model);
}

/** One class for all, as a fleet without a class file has it. */
function singleProfile(document: PolicyDocument): PolicyProfile {
  const { router_queue_threshold: threshold, router_queue_wait_ms: busyWaitMs } = document;
  const only: PolicyClass = {
    name: 'default',
    queuePolicy: document.router_queue_policy,
    quantum: 1,
    busyTokens: null,
    busyFraction: threshold,
    busyWaitMs,
    limits: { requests: null, rawIslTokens: null, cachedTokens: null },
    sloMs: null,
  };
  return { classes: [only], queues: threshold !== null || busyWaitMs !== null, classify: () => 0 };
}

function tableProfile(document: ProfileDocument, where: string): PolicyProfile {
  const floors = document.uncached_isl_buckets.map(({ min_tokens }) => min_tokens);
  const buckets = bucketNames(document, where);
  const classes: PolicyClass[] = [];
  const byName = new Map<string, number>();
  /** Per family, the class of each bucket. */
  const families = new Map<string, number[]>();
  document.policy_classes.forEach((entry, index) => {
    const at = `${where}policy_classes[${index}]`;
    if (classes.some(({ name }) => name === entry.name))
      throw policyError(at, `"${entry.name}" is there twice`);
    classes.push(policyClass(entry));
    const { policy_family: family, cache_bucket: bucket } = entry;
    if (family === undefined && bucket === undefined) {
      byName.set(entry.name, index);
      return;
    }
    if (family === undefined || bucket === undefined) {
      throw policyError(at, 'has both policy_family and cache_bucket, or neither');
    }
    const column = buckets.indexOf(bucket);
    if (column === -1) throw policyError(`${at}.cache_bucket`, `there is no bucket "${bucket}"`);
    const row = families.get(family) ?? [];
    if (row[column] !== undefined)
      throw policyError(at, `"${family}" has two classes for bucket "${bucket}"`);
    row[column] = index;
    families.set(family, row);
  });
  for (const [family, row] of families) {
    if (byName.has(family))
      throw policyError(`${where}policy_classes`, `"${family}" is a class and a family`);
    const missing = buckets.find((_, column) => row[column] === undefined);
    if (missing === undefined) continue;
    throw policyError(`${where}policy_classes`, `family "${family}" has no class for bucket "${missing}"`);
  }
  const fallback = families.get(document.default_policy_family);
  if (!fallback) {
    const message = `no class has the family "${document.default_policy_family}"`;
    throw policyError(`${where}default_policy_family`, message);
  }
  return {
    classes,
    queues: classes.some(canBeBusy),
    classify(requested, uncachedTokens) {
      const explicit = requested === undefined ? undefined : byName.get(requested);
      if (explicit !== undefined) return explicit;
      const row = (requested === undefined ? undefined : families.get(requested)) ?? fallback;
      if (row.length === 1) return row[0]!;
      const tokens = uncachedTokens();
      let column = row.length - 1;
      while (floors[column]! > tokens) column--;
      return row[column]!;
    },
  };
}

const canBeBusy = ({ busyTokens, busyFraction, busyWaitMs }: PolicyClass) =>
  busyTokens !== null || busyFraction !== null || busyWaitMs !== null;

function bucketNames({ uncached_isl_buckets: buckets }: ProfileDocument, where: string): string[] {
  const at = `${where}uncached_isl_buckets`;
  if (buckets[0]!.min_tokens !== 0) throw policyError(at, 'the first bucket begins at min_tokens 0');
  const names: string[] = [];
  buckets.forEach(({ min_tokens, bucket }, index) => {
    if (index > 0 && min_tokens <= buckets[index - 1]!.min_tokens) {
      throw policyError(`${at}[${index}].min_tokens`, 'is not above that of the bucket before');
    }
    if (names.includes(bucket)) throw policyError(`${at}[${index}]`, `"${bucket}" is there twice`);
    names.push(bucket);
  });
  return names;
}

function policyClass(entry: ClassDocument): PolicyClass {
  return {
    name: entry.name,
    queuePolicy: entry.queue_policy,
    quantum: entry.quantum,
    busyTokens: entry.prefill_busy_threshold ?? null,
    busyFraction: entry.prefill_busy_threshold_frac ?? null,
    busyWaitMs: entry.prefill_busy_wait_ms ?? null,
    limits: {
      requests: entry.request_queue_limit_per_worker ?? null,
      rawIslTokens: entry.raw_isl_token_queue_limit_per_worker ?? null,
      cachedTokens: entry.cached_token_queue_limit_per_worker ?? null,
    },
    sloMs: entry.slo_ms ?? null,
  };
}
