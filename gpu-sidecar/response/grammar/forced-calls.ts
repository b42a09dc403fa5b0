/** The grammar of forced calls: `start` of one call or more, each of a tool of the request in the family's own form. */

import type { ToolSpec } from '../parsers/parser.ts';
import type { CallForm } from './call-forms.ts';
import { type ControlIds, Lark, type Part } from './lark.ts';
import { type ForcedTool, refuse } from './named-parameters.ts';
import { pythonArguments } from './python-arguments.ts';
import { schemaWithout } from './schema-without.ts';
import { taggedArguments } from './tagged-arguments.ts';

/** Where no quotes stand around a name. */
const PLAIN_NAME = /^[\w.-]+$/;

/** Throws StatorError `unsupported_parameter` for a tool whose calls the family cannot write. */
export function forcedCalls(
  form: CallForm,
  options: {
    tools: readonly ToolSpec[];
    /** No more than one call. */
    single: boolean;
    family: string;
    param: string;
    controls: ControlIds;
  },
): Part[] {
  const { tools, single, family, param, controls } = options;
  const lark = new Lark(controls);
  const more = single || form.between === null ? '' : ` (${lark.text(form.between)} call)*`;
  lark.rule('start', `${lark.text(form.start)} call${more} ${lark.text(form.end)}`);
  const alternatives = tools.map((tool, index) => {
    const written = argumentsOf(lark, form, { forced: { tool, family, param }, prefix: `tool${index}` });
    return `${lark.text(form.before(tool.name))} ${written} ${lark.text(form.after)}`;
  });
  lark.rule('call', alternatives.join('\n  | '));
  return lark.parts();
}

function argumentsOf(
  lark: Lark,
  form: CallForm,
  { forced, prefix }: { forced: ForcedTool; prefix: string },
): string {
  const { name, parameters } = forced.tool;
  const isPlain = form.arguments.kind === 'json' && form.arguments.without === undefined;
  if (!isPlain && !PLAIN_NAME.test(name)) refuse(forced, 'its name cannot be written there');
  switch (form.arguments.kind) {
    case 'json': {
      const { without } = form.arguments;
      const schema = parameters ?? { type: 'object' };
      return lark.json(without === undefined ? schema : schemaWithout(without, schema));
    }
    case 'tags':
      return taggedArguments(lark, forced, form.arguments.form);
    case 'python':
      return pythonArguments(lark, forced, prefix);
  }
}
