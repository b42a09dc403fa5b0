/** What a scripted sidecar is told to do, and what it tells afterwards; shared by the server and the tests. */

/** One Generate call. `at`: bytes of the answer, counted from its very first byte, whoever sent the earlier ones. */
export type Step =
  | { kind: 'answer' }
  /** Sends up to byte `at`, then breaks the connection. `at: -1`: before the head. */
  | { kind: 'cut'; at: number }
  /** Sends up to byte `at`, then ends in order. */
  | { kind: 'end'; at: number }
  /** Sends up to byte `at`, then something harmless every few milliseconds, as an engine at work does. */
  | { kind: 'trickle'; at: number }
  /** No head before `release`. */
  | { kind: 'hold' }
  | { kind: 'hold-then-cut' }
  | ({ kind: 'hold-then-refuse' } & Refusal)
  | ({ kind: 'refuse' } & Refusal)
  /** Events up to byte `at`, then an error event. */
  | { kind: 'fail'; at: number };

export interface Refusal {
  status: number;
  code: string;
  message: string;
  param?: string;
  retryAfter?: string;
}

export interface Script {
  /** Pieces of text and the token ids behind each; the answer of every worker of this scenario. */
  pieces: { text: string; tokenIds: number[] }[];
  /** The first call takes the first step; the last step is for all further ones. */
  steps: Step[];
  /** An answer that is not streamed says its length, or is sent after white space. */
  document?: 'with-length' | 'chunked';
  cachedTokens?: number;
  /** What became of prompts that another worker was to compute, as the answer's head says. */
  prefill?: 'computed' | 'failed';
}

export interface GenerateLog {
  worker: string;
  authorization: string;
  contentType: string;
  requestId: string;
  model: string;
  tokenIds: number[];
  blockHashesBytes: number;
  /** Base64. */
  blockHashes: string;
  hashSeed: string;
  reservation: number;
  seed: string;
  maxTokens: number;
  responseId: string;
  created: number;
  stop: string[];
  temperature: number;
  prefill: { instanceId: string; grpcAddress: string; reservation: number } | null;
  nvextPrefillWorker: string;
  resume: { tokenIds: number[]; partialEvent: string; events: number; cachedTokens: number | null } | null;
  /** The resume fitted the answer: ids, events and the piece of an event are what was sent. */
  fits: boolean;
  /** The connection closed before the answer was complete, and not by the script. */
  aborted: boolean;
}

export interface ScenarioLog {
  generate: GenerateLog[];
  /** Other methods, in order. */
  calls: string[];
}
