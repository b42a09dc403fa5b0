/** An engine's own options: text from the configuration, checked against a schema; unknown names are errors. */

import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';

/** Throws StatorError `invalid_request` naming the engine and the option. */
export function parseExtra<S extends z.ZodObject>(
  extra: Readonly<Record<string, string>>,
  options: { engine: string; schema: S },
): z.output<S> {
  const parsed = z.strictObject(options.schema.shape).safeParse(extra);
  if (parsed.success) return parsed.data as z.output<S>;
  const issue = parsed.error.issues[0];
  const name = issue?.path.join('.') ?? '';
  const what = `option ${name} of the engine ${options.engine}`.replace('  ', ' ');
  throw new StatorError('invalid_request', `${what}: ${issue?.message ?? 'not valid'}`, { param: name });
}
