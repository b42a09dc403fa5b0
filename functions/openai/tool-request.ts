/** Tools, forms of the answer and what else of a chat body only the template and the worker understand. */
import { LIMITS } from '../../durable/runtime/limits.ts';
import { GrammarKind } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Grammar, PastToolCall, TemplateExtras, ToolUse } from '../inference-request.ts';
import type { ChatBody } from './chat-schema.ts';
import { checkSchema } from './json-schema.ts';
import { invalid } from './parse.ts';
import { wellFormed } from './well-formed.ts';

type Message = ChatBody['messages'][number];

/** null: none, or they may not be called. Throws `invalid_request` naming what is broken. */
export function toolsOf({ tools, tool_choice, parallel_tool_calls }: ChatBody): ToolUse | null {
  if (tools == null || tools.length === 0) {
    if (tool_choice != null && tool_choice !== 'none' && tool_choice !== 'auto') {
      throw invalid('tool_choice', "it is only allowed with 'tools'.");
    }
    return null;
  }
  const names = new Set<string>();
  tools.forEach((tool, index) => {
    const { name, parameters } = tool.function;
    const param = `tools[${index}].function`;
    if (names.has(name)) throw invalid(`${param}.name`, `there are two tools '${name}'.`);
    names.add(name);
    if (parameters != null) checkSchema(parameters, `${param}.parameters`);
  });
  if (typeof tool_choice === 'object' && tool_choice !== null && !names.has(tool_choice.function.name)) {
    throw invalid('tool_choice.function.name', `there is no tool '${tool_choice.function.name}'.`);
  }
  return tool_choice === 'none' ? null : { tools, one: parallel_tool_calls === false };
}

/** null: any text, or what else the request says of its form (`response-format.ts`). */
export function forcedCallOf({ tools, tool_choice: choice }: ChatBody): Grammar | null {
  if (tools == null || tools.length === 0 || choice == null) return null;
  if (choice === 'required') return { kind: GrammarKind.TOOL_CALL, text: '', param: 'tool_choice' };
  if (typeof choice !== 'object') return null;
  return { kind: GrammarKind.TOOL_CALL, text: choice.function.name, param: 'tool_choice' };
}

/** null: the messages are all there is. */
export function extrasOf(body: ChatBody, tools: ToolUse | null): TemplateExtras | null {
  const { documents, chat_template_kwargs: given, reasoning_effort: effort } = body;
  const switches = effort == null ? given : { reasoning_effort: effort, ...given };
  if (tools === null && documents == null && switches == null) return null;
  checkValue(tools?.tools, 'tools');
  checkValue(documents, 'documents');
  checkValue(switches, 'chat_template_kwargs');
  const extras: TemplateExtras = {};
  if (tools !== null) extras.tools = tools.tools;
  if (documents != null) extras.documents = documents;
  if (switches != null) extras.switches = switches;
  return extras;
}

export function pastToolCalls(calls: NonNullable<Message['tool_calls']>, index: number): PastToolCall[] {
  return calls.map((call, at) => {
    const { name, arguments: given } = call.function;
    const param = `messages[${index}].tool_calls[${at}].function.arguments`;
    const past: PastToolCall = { type: 'function', function: { name, arguments: argumentsOf(given, param) } };
    if (call.id != null) past.id = call.id;
    return past;
  });
}

export function argumentsOf(given: string | null | undefined, param: string): Record<string, unknown> {
  if (given == null || given.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch {
    throw invalid(param, 'it is not JSON.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(param, 'expected a JSON object.');
  }
  checkValue(value, param);
  return value as Record<string, unknown>;
}

/** What is walked later must not be deeper than a stack, and be made of characters. */
export function checkValue(value: unknown, param: string, level = 0): void {
  if (typeof value === 'string') wellFormed(value, param);
  if (typeof value !== 'object' || value === null) return;
  if (level > LIMITS.valueDepth) throw invalid(param, `nested deeper than ${LIMITS.valueDepth} levels.`);
  for (const each of Object.values(value)) checkValue(each, param, level + 1);
}
