/**
 * A schema applied at the boundary: the first thing that is wrong becomes OpenAI's error, naming the field as OpenAI
 * writes it (`messages[0].role`).
 */
import type * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import { issueWords, joinedWords, MISSING } from './issue-words.ts';

type Issue = z.core.$ZodIssue;

interface Problem {
  path: PropertyKey[];
  message: string;
}

/** The body as the schema's type. Throws `invalid_request` with `param`. */
export const parseBody = <T>(schema: z.ZodType<T>, body: unknown): T => parseWith(schema, body, complain);

/** The same in the words of another API. */
export function parseWith<T>(
  schema: z.ZodType<T>,
  body: unknown,
  complaint: (problem: Problem) => StatorError,
): T {
  const result = schema.safeParse(body, { error: issueWords });
  if (result.success) return result.data;
  throw complaint(deepest(result.error.issues[0]!, []));
}

function complain({ path, message }: Problem): StatorError {
  const param = paramName(path);
  if (param === '')
    return new StatorError('invalid_request', `The request body must be a JSON object: ${message}`);
  if (message === MISSING) {
    return new StatorError('invalid_request', `Missing required parameter: '${param}'.`, { param });
  }
  return invalid(param, message);
}

/**
 * Unions report one list of issues per branch: the branch that got furthest into the value is the one meant, else the one that found
 * the right kind of value.
 */
function deepest(issue: Issue, prefix: PropertyKey[]): Problem {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return { path: [...path, issue.keys[0]!], message: 'there is no such field.' };
  }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { path, message: issue.message };
  const branches = issue.errors.map((issues) => deepest(issues[0]!, path));
  const best = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  if (best.path.length > path.length) return best;
  const ofItsKind = branches.filter((_, index) => issue.errors[index]![0]!.code !== 'invalid_type');
  const meant = ofItsKind.length === 1 ? ofItsKind : branches;
  return { path, message: joinedWords(meant.map((branch) => branch.message)) };
}

/** `['messages', 0, 'role']` → `messages[0].role`. */
export function paramName(path: readonly PropertyKey[]): string {
  let name = '';
  for (const part of path) {
    if (typeof part === 'number') name += `[${part}]`;
    else name += (name === '' ? '' : '.') + String(part);
  }
  return name;
}

/** Refuses what is understood but not served. */
export function unsupported(param: string, message: string): StatorError {
  return new StatorError('unsupported_parameter', message, { param });
}

/** Refuses a value, in OpenAI's words. */
export function invalid(param: string, reason: string): StatorError {
  return new StatorError('invalid_request', `Invalid value for '${param}': ${reason}`, { param });
}
