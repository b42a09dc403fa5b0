/**
 * Arguments as Python writes them: `city="Bern", days=2`. Words are Python's; strings, lists and dictionaries are JSON, which is
 * Python but for the words inside them, and those its parser reads, too.
 */

import type { Lark } from './lark.ts';
import { type ForcedTool, namedParameters } from './named-parameters.ts';

const canWrite = (name: string): boolean => /^\w+$/.test(name);

/** Rules under `prefix`; gives the expression. What comes first has no comma before it, so each place has two rules. */
export function pythonArguments(lark: Lark, forced: ForcedTool, prefix: string): string {
  const parameters = namedParameters(forced, canWrite);
  if (parameters.length === 0) return '';
  parameters.forEach(({ name, required, schema }, index) => {
    const written = `"${name}=" ${literal(lark, schema)}`;
    const last = index === parameters.length - 1;
    const behind = last ? '' : ` ${prefix}_next${index + 1}`;
    const skipped = last ? '""' : `${prefix}_first${index + 1}`;
    lark.rule(
      `${prefix}_first${index}`,
      required ? `${written}${behind}` : `${written}${behind} | ${skipped}`,
    );
    if (index === 0) return;
    const more = `", " ${written}`;
    lark.rule(`${prefix}_next${index}`, `${required ? more : `(${more})?`}${behind}`);
  });
  return `${prefix}_first0`;
}

function literal(lark: Lark, schema: unknown): string {
  const keys = typeof schema === 'object' && schema !== null ? Object.keys(schema) : [];
  const types = keys.some((key) => NARROWER.has(key)) ? undefined : (schema as { type?: unknown })?.type;
  if (types === 'boolean') return '("True" | "False")';
  return types === 'null' ? '"None"' : lark.json(schema);
}

const NARROWER = new Set(['enum', 'const', 'anyOf', 'oneOf', 'allOf', '$ref', 'not']);
