/** Arguments that a model wrote as plain text between tags, as JSON of the type that the tool's schema asks for. */

import type { ToolSpec } from '../parser.ts';

const PYTHON_WORDS = new Map([
  ['True', 'true'],
  ['False', 'false'],
  ['None', 'null'],
]);

/** Whether the schema says that the parameter is a string and nothing else, so that its text can stream. */
export function isStringParameter(tools: readonly ToolSpec[], tool: string, parameter: string): boolean {
  const schema = tools.find(({ name }) => name === tool)?.parameters;
  const property = field(field(schema, 'properties'), parameter);
  if (field(property, 'type') === 'string') return true;
  const choices = field(property, 'enum');
  return (
    Array.isArray(choices) && choices.length > 0 && choices.every((choice) => typeof choice === 'string')
  );
}

/** A parameter of another or an unknown type: JSON stays as written, Python's words are JSON's, the rest is a string. */
export function looseJson(text: string): string {
  const trimmed = text.trim();
  const word = PYTHON_WORDS.get(trimmed);
  if (word !== undefined) return word;
  try {
    JSON.parse(trimmed);
    return trimmed;
  } catch {
    return JSON.stringify(text);
  }
}

function field(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}
