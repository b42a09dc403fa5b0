/** Which API a request means, before anything of it is read: by its path, and for the models by Anthropic's version header. */
import type { Api } from '../../durable/runtime/error-body.ts';

const MESSAGES = /^\/v1\/messages(\/|$)/;
const MODELS = /^\/v1\/models(\/|$)/;
const VERSION_HEADER = 'anthropic-version';

/** As much of Hono's request as is asked for. */
interface Asked {
  path: string;
  header(name: string): string | undefined;
}

export function apiOfRequest(request: Asked): Api {
  const { path } = request;
  const isAnthropic =
    MESSAGES.test(path) || (MODELS.test(path) && request.header(VERSION_HEADER) !== undefined);
  return isAnthropic ? 'anthropic' : 'openai';
}
