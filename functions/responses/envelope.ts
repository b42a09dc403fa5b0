/**
 * What a Response object repeats of its request, and the object of one that has only begun. The worker puts the same
 * members into the object that it writes.
 */
import type { ResponsesBody } from '../openai/responses-schema.ts';

/** JSON object. */
export function envelopeOf(body: ResponsesBody): string {
  return JSON.stringify({
    background: body.background ?? false,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: { format: body.text?.format ?? { type: 'text' }, verbosity: body.text?.verbosity ?? 'medium' },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? 'disabled',
    user: body.user ?? null,
  });
}

export interface Begun {
  responseId: string;
  /** Unix seconds. */
  created: number;
  model: string;
  envelope: string;
}

/** JSON of the Response object, without output. */
export function begunDocument({ responseId, created, model, envelope }: Begun): string {
  const head = { id: responseId, object: 'response', created_at: created, status: 'in_progress' };
  const members = { ...head, error: null, incomplete_details: null, model };
  return `${JSON.stringify(members).slice(0, -1)},${envelope.slice(1, -1)},"output":[],"usage":null}`;
}
