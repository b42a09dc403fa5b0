/**
 * What a sidecar refused with → StatorError: the code is in `x-stator-code`, message and field in an OpenAI body.
 * A response without a known code is not from one of our sidecars.
 */
import { type ErrorDetails, isErrorCode, StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Endpoint } from '../call.ts';

export const CODE_HEADER = 'x-stator-code';
/** The prompt as workers call it. */
const TOKENS = 'token_ids';

export async function workerError(response: Response): Promise<StatorError> {
  const code = response.headers.get(CODE_HEADER) ?? '';
  const body = await readError(response);
  if (!isErrorCode(code)) {
    return new StatorError('worker_unavailable', `The worker answered with HTTP status ${response.status}.`);
  }
  // A wrong fleet token is the platform's fault: the caller's own key was right.
  if (code === 'invalid_api_key')
    return new StatorError('internal', 'The worker did not accept the fleet token.');
  const details: ErrorDetails = {};
  if (body.param !== null) details.param = body.param;
  const retryAfterS = Number(response.headers.get('retry-after'));
  if (retryAfterS > 0) details.retryAfterS = retryAfterS;
  return new StatorError(code, body.message ?? `The worker refused the request: ${code}.`, details);
}

/** The prompt as a caller of the endpoint named it, where tokens came from outside and a worker says that the model lacks one. */
export function inCallersWords(error: StatorError, endpoint: Endpoint): StatorError {
  if (error.param !== TOKENS || endpoint === 'router_generate') return error;
  const param = endpoint === 'completions' ? 'prompt' : 'nvext.token_data';
  const message = error.message.replace(`${TOKENS}:`, `${param}:`);
  return new StatorError(error.code, message, { param, cause: error });
}

async function readError(response: Response): Promise<{ message: string | null; param: string | null }> {
  const nothing = { message: null, param: null };
  try {
    if (Number(response.headers.get('content-length') ?? 0) > LIMITS.errorBodyBytes) return nothing;
    const body = (await response.json()) as { error?: { message?: unknown; param?: unknown } };
    const { message, param } = body.error ?? {};
    return {
      message: typeof message === 'string' ? message : null,
      param: typeof param === 'string' ? param : null,
    };
  } catch {
    return nothing;
  }
}
