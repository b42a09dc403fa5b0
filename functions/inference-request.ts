/**
 * What a client wants, in no API's dialect: the product of validation and the input of everything behind it.
 */

import type { RouteRequest } from '../durable/router/rpc.ts';
import type { GrammarKind } from '../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';

/** One chat message as the template sees it. */
export interface ChatMessage {
  role: string;
  content: string;
  name?: string;
  tool_calls?: PastToolCall[];
  tool_call_id?: string;
  /** What the assistant thought before it spoke; templates decide how much of it a model sees again. */
  reasoning_content?: string;
}

/** A call that the assistant made before; templates want the arguments as a value. */
export interface PastToolCall {
  id?: string;
  type: 'function';
  function: { name: string; arguments: Record<string, unknown> };
}

/** What a chat template may use beside the messages. */
export interface TemplateExtras {
  tools?: readonly unknown[];
  documents?: readonly unknown[];
  /** Switches of the template itself (`enable_thinking`). */
  switches?: Readonly<Record<string, unknown>>;
}

export type Prompt =
  | {
      kind: 'messages';
      messages: ChatMessage[];
      extras: TemplateExtras | null;
      /** The answer goes on where the last message, an assistant's, breaks off. */
      continuesLast?: boolean;
    }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; tokenIds: Uint32Array };

export interface Sampling {
  /** 0 = greedy. */
  temperature: number;
  topP: number;
  /** 0 = off. */
  topK: number;
  minP: number;
  /** 64 bits; null: the dispatcher draws one. */
  seed: bigint | null;
  presencePenalty: number;
  frequencyPenalty: number;
  /** 1 = off. */
  repetitionPenalty: number;
  /** Token id and added logit; empty = none. */
  logitBias: readonly (readonly [tokenId: number, bias: number])[];
  /** Answers wanted. */
  n: number;
  /** Likely tokens named beside each chosen one; null: no log probabilities. */
  topLogprobs: number | null;
}

/** What the answer must look like. */
export interface Grammar {
  kind: GrammarKind;
  /** Schema, expression or grammar; empty where the kind says all. */
  text: string;
  /** How the client named it, for errors; absent: OpenAI's name. */
  param?: string;
}

export interface StopConditions {
  /** null: what is left of the context, bounded. */
  maxTokens: number | null;
  /** More than the context has room for is cut to fit instead of being refused. */
  maxTokensShrink?: boolean;
  minTokens: number;
  stop: readonly string[];
  stopTokenIds: readonly number[];
  ignoreEos: boolean;
}

/** For the router's queue. */
export interface AgentHints {
  /** Seconds that the request counts as older than it is. */
  priority: number;
  /** Everything of a higher tier goes first. */
  strictPriority: number;
}

/** What the request asks of the router; absent fields leave the choice to it. */
export interface RoutingWishes
  extends Pick<
    RouteRequest,
    | 'pinned'
    | 'dpRank'
    | 'prefillPinned'
    | 'prefillDpRank'
    | 'allowedWorkerIds'
    | 'requiredTaints'
    | 'preferredTaints'
    | 'lora'
    | 'session'
    | 'expectedOutputTokens'
    | 'override'
    | 'queryOnly'
    | 'explain'
  > {
  /** Salt of the block hashes: only requests of one namespace share cached blocks. */
  cacheNamespace?: string;
}

/** The tools that the answer may call. */
export interface ToolUse {
  /** OpenAI's `tools`, as the template sees them. */
  tools: readonly unknown[];
  /** At most one call. */
  one: boolean;
}

/** What `/v1/responses` alone has: the response is an object of its own, and perhaps stored. */
export interface ResponseObject {
  /** `resp_…` */
  responseId: string;
  /** What it repeats of its request: a JSON object. */
  envelope: string;
  /** The worker tells the platform what became of it. */
  keep: boolean;
  /** Oldest turns are left out until the conversation fits. */
  truncates: boolean;
}

/** How fast the answer should be, in milliseconds; null: not said. */
export interface LatencyTargets {
  ttftMs: number | null;
  itlMs: number | null;
}

/** Events before the first chunk of a stream. */
export interface Annotations {
  names: readonly string[];
  /** The prompt as the template made it, once it has. */
  formattedPrompt?: string;
}

/** Fields of the answer's `nvext`. */
export interface AnswerExtras {
  workerId: boolean;
  timing: boolean;
}

export interface InferenceRequest {
  model: string;
  prompt: Prompt;
  sampling: Sampling;
  stop: StopConditions;
  stream: boolean;
  includeUsage: boolean;
  /** The prompt is repeated before the completion. */
  echo: boolean;
  priority: number;
  agentHints: AgentHints | null;
  tools: ToolUse | null;
  grammar: Grammar | null;
  /** null: none. */
  routing: RoutingWishes | null;
  /** What the answer is to say of itself in `nvext`; absent: nothing. */
  answerExtras?: AnswerExtras;
  /** Absent: none. */
  annotations?: Annotations;
  record?: ResponseObject;
  /** For a global router; absent: none. */
  targets?: LatencyTargets;
}
