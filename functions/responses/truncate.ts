/**
 * `truncation: auto`: a conversation that is longer than the model's context loses its oldest turns until it fits. What
 * stands before the first turn (instructions) and the last turn stay. Each try renders and tokenises anew, so a quarter
 * goes at once.
 */
import { toStatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { Call } from '../call.ts';
import type { ChatMessage, InferenceRequest } from '../inference-request.ts';
import { inference } from '../pipeline.ts';

/** The way of all inference requests, as often as it takes. */
export async function runFitting(request: InferenceRequest, call: Call): Promise<Response> {
  let fitting = request;
  for (let left = LIMITS.truncations; ; left--) {
    try {
      return await inference.run(fitting, call);
    } catch (thrown) {
      const shorter =
        left > 0 && toStatorError(thrown).code === 'context_length_exceeded' && shortened(fitting);
      if (!shorter) throw thrown;
      fitting = shorter;
    }
  }
}

function shortened(request: InferenceRequest): InferenceRequest | null {
  const { prompt, record } = request;
  if (!record?.truncates || prompt.kind !== 'messages') return null;
  const messages = withoutOldest(prompt.messages);
  return messages === null ? null : { ...request, prompt: { ...prompt, messages } };
}

/** null: there is but one turn. A turn begins with what the user says. */
export function withoutOldest(messages: readonly ChatMessage[]): ChatMessage[] | null {
  const head = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const turns = messages.flatMap(({ role }, at) => (role === 'user' ? [at] : []));
  const last = turns.length - 1;
  if (head < 0 || last < 1) return null;
  return [...messages.slice(0, head), ...messages.slice(turns[Math.ceil(last / 4)]!)];
}
