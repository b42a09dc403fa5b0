/**
 * A grammar of llguidance in the making: rules, terminals and JSON schemas, each written once, under names of their own; and text
 * in which the control tokens of the vocabulary are those tokens and not how they are written.
 */

/** One grammar of llguidance's list; others name it `@name`. */
export interface Part {
  name?: string;
  lark_grammar?: string;
  json_schema?: unknown;
}

/** Between two parts of JSON: enough for an indentation, not for an answer of nothing else. */
const WHITESPACE = '[ \\n\\r\\t]{1,20}';

/** The empty text is a literal, too. */
export const literal = (text: string): string => JSON.stringify(text);

export function schemaPart(schema: unknown): Part {
  const options = { whitespace_pattern: WHITESPACE };
  const open = typeof schema === 'object' && schema !== null ? schema : { allOf: [schema] };
  return { json_schema: { ...open, 'x-guidance': options } };
}

/** How control tokens are written → their ids, for those that the parsers of the answer read. */
export type ControlIds = ReadonlyMap<string, number>;

export class Lark {
  readonly #controls: ControlIds;
  readonly #control: RegExp | null;
  readonly #lines: string[] = [];
  readonly #terminals = new Map<string, string>();
  readonly #schemas = new Map<string, string>();

  constructor(controls: ControlIds) {
    this.#controls = controls;
    const longestFirst = [...controls.keys()].sort((a, b) => b.length - a.length);
    const choices = longestFirst.map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    this.#control = choices.length === 0 ? null : new RegExp(`(${choices.join('|')})`);
  }

  /** This text; control tokens as themselves. */
  text(text: string): string {
    return this.#pieces(text)
      .map((piece) => this.#token(piece) ?? literal(piece))
      .join(' ');
  }

  /** A text that matches all of the expressions, then `close`, with which none of them goes on. */
  textThen(expressions: readonly string[], close: string): string {
    const [first, ...rest] = this.#pieces(close);
    const isText = first !== undefined && this.#token(first) === null;
    const all = expressions.map((expression) => `/(?:${expression})/`).join(' & ');
    // What only ends at a token may be empty, which a terminal may not.
    const terminal = isText
      ? this.terminal(`(${all}) ${literal(first)}`)
      : `${this.terminal([all, '/(?s:.)+/'].join(' & '))}?`;
    return [terminal, ...(isText ? rest : this.#pieces(close)).map((piece) => this.text(piece))].join(' ');
  }

  terminal(expression: string): string {
    return this.#once(this.#terminals, expression, (name) => {
      this.#lines.push(`${name}: ${expression}`);
      return name;
    });
  }

  /** A value under the schema, as JSON. */
  json(schema: unknown): string {
    return this.#once(this.#schemas, JSON.stringify(schema), (name) => `@${name.toLowerCase()}`);
  }

  rule(name: string, expression: string): void {
    this.#lines.push(`${name}: ${expression}`);
  }

  /** The main grammar first, then the schemas that it names. */
  parts(): Part[] {
    const schemas = [...this.#schemas].map(([json, reference]) => ({
      ...schemaPart(JSON.parse(json)),
      name: reference.slice(1),
    }));
    return [{ lark_grammar: `${this.#lines.join('\n')}\n` }, ...schemas];
  }

  #pieces(text: string): string[] {
    if (this.#control === null) return [text];
    return text.split(this.#control).filter((piece) => piece !== '');
  }

  #token(piece: string): string | null {
    const id = this.#controls.get(piece);
    return id === undefined ? null : `<[${id}]>`;
  }

  #once(known: Map<string, string>, key: string, make: (name: string) => string): string {
    const before = known.get(key);
    if (before !== undefined) return before;
    const made = make(`T${this.#terminals.size}S${this.#schemas.size}`);
    known.set(key, made);
    return made;
  }
}
