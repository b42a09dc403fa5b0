/** What an answer must look like, whichever of the fields says so. Throws `invalid_request` naming it. */
import { LIMITS } from '../../durable/runtime/limits.ts';
import { GrammarKind } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Grammar } from '../inference-request.ts';
import type { FormatFields, GuidedFields } from './guided-schema.ts';
import { checkSchema } from './json-schema.ts';
import { invalid } from './parse.ts';
import { wellFormed } from './well-formed.ts';

type Wish = Required<Grammar>;

/** null: any text. One wish is all: two could contradict each other. */
export function formatOf(body: FormatFields): Grammar | null {
  const { response_format: format, structured_outputs: outputs, nvext } = body;
  const wishes: Wish[] = [];
  if (format?.type === 'json_object') wishes.push(anyObject('response_format'));
  if (format?.type === 'json_schema') {
    const { schema } = format.json_schema;
    wishes.push(
      schema == null ? anyObject('response_format') : ofSchema(schema, 'response_format.json_schema.schema'),
    );
  }
  wishes.push(...guided(body, 'guided_'));
  if (outputs != null) {
    const { json, regex, choice, grammar, json_object } = outputs;
    const fields = { guided_json: json, guided_regex: regex, guided_choice: choice, guided_grammar: grammar };
    wishes.push(...guided(fields, 'structured_outputs.'));
    if (json_object) wishes.push(anyObject('structured_outputs.json_object'));
  }
  if (nvext != null) wishes.push(...guided(nvext, 'nvext.guided_'));
  const [wish, second] = wishes;
  if (second !== undefined)
    throw invalid(second.param, `'${wish!.param}' says already what the answer must be.`);
  return wish ?? null;
}

function guided(fields: Partial<GuidedFields>, prefix: string): Wish[] {
  const { guided_json: json, guided_regex: regex, guided_choice: choice, guided_grammar: grammar } = fields;
  const wishes: Wish[] = [];
  if (json != null) wishes.push(ofSchema(json, `${prefix}json`));
  if (regex != null) wishes.push(ofText(GrammarKind.REGEX, regex, `${prefix}regex`));
  if (choice != null) wishes.push(ofText(GrammarKind.CHOICE, JSON.stringify(choice), `${prefix}choice`));
  if (grammar != null) wishes.push(ofText(GrammarKind.CONTEXT_FREE, grammar, `${prefix}grammar`));
  return wishes;
}

const anyObject = (param: string): Wish => ({ kind: GrammarKind.JSON_OBJECT, text: '', param });

function ofSchema(given: Readonly<Record<string, unknown>> | string, param: string): Wish {
  const schema = typeof given === 'string' ? parsed(given, param) : given;
  checkSchema(schema, param);
  return ofText(GrammarKind.JSON_SCHEMA, JSON.stringify(schema), param);
}

function ofText(kind: GrammarKind, text: string, param: string): Wish {
  if (text.length > LIMITS.grammarBytes) throw invalid(param, `larger than ${LIMITS.grammarBytes} bytes.`);
  return { kind, text: wellFormed(text, param), param };
}

function parsed(text: string, param: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(param, 'it is not JSON.');
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw invalid(param, 'expected a JSON schema, an object.');
}
