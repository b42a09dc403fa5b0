/** What `stator run` and `stator chat` let people say about the answer. */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { Question } from './chat-client.ts';

export const SAMPLING_ARGS = {
  model: { type: 'string', description: 'Model; default: the first that is ready.' },
  system: { type: 'string', description: 'System prompt.' },
  temperature: { type: 'string', description: "0: always the likeliest token; default: the server's." },
  'max-tokens': { type: 'string', description: 'Longest answer.' },
} as const;

/** Throws `invalid_request` naming the option; ranges are the server's to judge. */
export function samplingOf(
  args: Readonly<Record<string, unknown>>,
): Pick<Question, 'temperature' | 'maxTokens'> {
  const temperature = numberOf(args, 'temperature');
  const maxTokens = numberOf(args, 'max-tokens');
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
  };
}

function numberOf(args: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const text = args[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (typeof text !== 'string' || text.trim() === '' || !Number.isFinite(value)) {
    throw new StatorError('invalid_request', `--${name} wants a number`, { param: name });
  }
  return value;
}

/** The model that was asked for, else the first that is ready. */
export async function chooseModel(
  asked: string | undefined,
  client: { models(): Promise<string[]> },
): Promise<string> {
  if (asked !== undefined) return asked;
  const [first] = await client.models();
  if (first === undefined) {
    throw new StatorError('no_workers', 'no model is ready yet: `npx stator status` shows the workers');
  }
  return first;
}
