/**
 * What functions and Router objects may ask the Directory object (one per deployment): which models exist, where.
 * Only Router objects write it. A reader keeps `version` and asks `read(version)`, which is null when nothing changed.
 */

/** Name of the one Directory object (`idFromName`); a Router object's name is its namespace. */
export const DIRECTORY_NAME = 'directory';

/** One model in one namespace; the part of the model card that a function needs, as plain data. */
export interface ModelEntry {
  name: string;
  aliases: string[];
  description: string;
  namespace: string;
  createdMs: number;
  contextLengthTokens: number;
  blockSizeTokens: number;
  migrationLimit: number;
  modelInput: 'tokens' | 'text';
  modelTypes: ('chat' | 'completions' | 'embedding')[];
  /** Length of the vectors of a model that embeds. */
  embeddingDimensions?: number;
  /** Lower-case hex SHA-256, or null. */
  tokenizerSha256: string | null;
  chatTemplateSha256: string | null;
  bosToken: string;
  eosToken: string;
  eosTokenIds: number[];
  addBosToken: boolean;
  specialTokens: string[];
  /** Tokens are reproducible, so a lost stream continues token for token. */
  deterministic: boolean;
  /** Nobody answers requests: all its workers are prefill workers. */
  prefillOnly?: true;
  /** The planner may stop its last worker. */
  maySleep?: true;
  /** There is no worker; a request starts one. */
  sleeping?: true;
  /** HTTP/1.1 faces of the instances that serve it (for artifacts and tokenising). */
  addresses: string[];
  /** Instance ids (hex), in the order of `addresses`. */
  instances: string[];
}

export interface DirectorySnapshot {
  version: number;
  models: ModelEntry[];
}

/** What discovery has under a key (`durable/runtime/instance.ts`). */
export interface DiscoveryEntry {
  key: string;
  value: string;
}

export interface DiscoveryList {
  version: number;
  /** In the order of the keys. */
  entries: DiscoveryEntry[];
}

/** Where a worker's socket of discovery arrives; others are at `/discovery/v1/watch`. */
export const LEASE_PATH = '/fleet/v1/discovery/lease';

export interface DirectoryRpc {
  /** The whole directory, or null when `knownVersion` is current. */
  read(knownVersion: number): DirectorySnapshot | null;
  /** A namespace's Router object replaces what it has published; returns the new version. */
  publish(namespace: string, models: ModelEntry[], instances: DiscoveryEntry[]): number;
  /** What is under a prefix, or null when `knownVersion` is current. */
  list(prefix: string, knownVersion: number): DiscoveryList | null;
  /** A piece of a file of a model that may sleep, from 0 on; null past the last, and when it is not kept. */
  file(sha256: string, piece: number): Uint8Array | null;
}
