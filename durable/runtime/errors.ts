/**
 * The closed list of everything that can go wrong, with its form in every dialect that leaves the house.
 *
 * One class, one table: a caller sees the same code over HTTP, in an OpenAI body, over gRPC and on the fleet
 * socket. `retryable` says whether another worker may be tried for the same request (semantics §5).
 */

/** gRPC status numbers used below (https://grpc.io/docs/guides/status-codes/). */
const GRPC = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** `http` status, `grpc` status, OpenAI `type` (its `code` is the key itself), and whether another worker may help. */
const TABLE = {
  invalid_request: { http: 400, grpc: GRPC.invalidArgument, type: 'invalid_request_error', retryable: false },
  invalid_json: { http: 400, grpc: GRPC.invalidArgument, type: 'invalid_request_error', retryable: false },
  context_length_exceeded: {
    http: 400,
    grpc: GRPC.invalidArgument,
    type: 'invalid_request_error',
    retryable: false,
  },
  unsupported_parameter: {
    http: 400,
    grpc: GRPC.unimplemented,
    type: 'invalid_request_error',
    retryable: false,
  },
  invalid_api_key: { http: 401, grpc: GRPC.unauthenticated, type: 'authentication_error', retryable: false },
  permission_denied: { http: 403, grpc: GRPC.permissionDenied, type: 'permission_error', retryable: false },
  model_not_found: { http: 404, grpc: GRPC.notFound, type: 'invalid_request_error', retryable: false },
  not_found: { http: 404, grpc: GRPC.notFound, type: 'invalid_request_error', retryable: false },
  method_not_allowed: {
    http: 405,
    grpc: GRPC.unimplemented,
    type: 'invalid_request_error',
    retryable: false,
  },
  stale_epoch: { http: 409, grpc: GRPC.failedPrecondition, type: 'invalid_request_error', retryable: false },
  card_mismatch: {
    http: 409,
    grpc: GRPC.failedPrecondition,
    type: 'invalid_request_error',
    retryable: false,
  },
  conflict: { http: 409, grpc: GRPC.failedPrecondition, type: 'invalid_request_error', retryable: false },
  body_too_large: { http: 413, grpc: GRPC.invalidArgument, type: 'invalid_request_error', retryable: false },
  invalid_frame: { http: 400, grpc: GRPC.invalidArgument, type: 'invalid_request_error', retryable: false },
  cancelled: { http: 499, grpc: GRPC.cancelled, type: 'cancelled', retryable: false },
  internal: { http: 500, grpc: GRPC.internal, type: 'server_error', retryable: false },
  engine_error: { http: 500, grpc: GRPC.internal, type: 'server_error', retryable: false },
  worker_unavailable: { http: 503, grpc: GRPC.unavailable, type: 'server_error', retryable: true },
  worker_draining: { http: 503, grpc: GRPC.unavailable, type: 'server_error', retryable: true },
  no_workers: { http: 503, grpc: GRPC.unavailable, type: 'server_error', retryable: false },
  migration_exhausted: { http: 503, grpc: GRPC.unavailable, type: 'server_error', retryable: false },
  deadline_exceeded: { http: 504, grpc: GRPC.deadlineExceeded, type: 'server_error', retryable: false },
  overloaded: { http: 529, grpc: GRPC.resourceExhausted, type: 'overloaded_error', retryable: true },
} as const;

export type ErrorCode = keyof typeof TABLE;

/** Anthropic's error types go by the HTTP status (https://docs.claude.com/en/api/errors). */
const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  504: 'timeout_error',
  529: 'overloaded_error',
};

export const ERROR_CODES = Object.keys(TABLE) as ErrorCode[];

/** OpenAI's error body (https://platform.openai.com/docs/guides/error-codes). */
export interface OpenAiErrorBody {
  error: { message: string; type: string; param: string | null; code: string };
  /** Refusals of the queue, as Dynamo writes them: beside `error`, for machines. */
  message?: string;
  type?: 'Overloaded';
  code?: number;
  details?: ErrorReport;
}

export interface AnthropicErrorBody {
  type: 'error';
  error: { type: string; message: string; details?: ErrorReport };
  request_id?: string;
}

/** What a refusal says to machines. */
export type ErrorReport = Readonly<Record<string, string | number>>;

/** Extras of an error: `param` names the offending field, `retryAfterS` becomes the `retry-after` header. */
export interface ErrorDetails {
  param?: string;
  retryAfterS?: number;
  report?: ErrorReport;
  cause?: unknown;
}

/** Every failure that a caller may see. */
export class StatorError extends Error {
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryAfterS: number | null;
  readonly report: ErrorReport | null;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'StatorError';
    this.code = code;
    this.param = details.param ?? null;
    this.retryAfterS = details.retryAfterS ?? null;
    this.report = details.report ?? null;
  }

  get httpStatus(): number {
    return TABLE[this.code].http;
  }

  get grpcStatus(): number {
    return TABLE[this.code].grpc;
  }

  /** Another worker may be tried for the same request. */
  get retryable(): boolean {
    return TABLE[this.code].retryable;
  }

  toOpenAi(): OpenAiErrorBody {
    const { message, param, code, report } = this;
    const error = { message, type: TABLE[code].type, param, code };
    if (report === null) return { error };
    return { error, message, type: 'Overloaded', code: this.httpStatus, details: report };
  }

  toAnthropic(requestId?: string): AnthropicErrorBody {
    const { message, httpStatus, report } = this;
    const type = ANTHROPIC_TYPES[httpStatus] ?? (httpStatus < 500 ? 'invalid_request_error' : 'api_error');
    const body: AnthropicErrorBody = { type: 'error', error: { type, message } };
    if (report !== null) body.error.details = report;
    if (requestId !== undefined) body.request_id = requestId;
    return body;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(TABLE, text);
}

/** What a catch clause got, as a StatorError: unknown things become `internal` and keep their cause. */
export function toStatorError(thrown: unknown): StatorError {
  if (thrown instanceof StatorError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new StatorError('internal', message, { cause: thrown });
}
