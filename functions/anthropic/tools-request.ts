/** Anthropic's tools and forms of the answer, in the words that templates and workers know. */
import { GrammarKind } from '../../gpu-sidecar/proto/gen/stator/v1/worker_pb.js';
import type { Grammar, TemplateExtras, ToolUse } from '../inference-request.ts';
import { checkSchema } from '../openai/json-schema.ts';
import { checkValue } from '../openai/tool-request.ts';
import type { PromptBody } from './messages-schema.ts';
import { notServed, refusal } from './parse.ts';

/** null: none, or they may not be called. */
export function toolsOf({ tools, tool_choice: choice }: PromptBody): ToolUse | null {
  if (tools == null || tools.length === 0) {
    if (choice != null && choice.type !== 'none' && choice.type !== 'auto') {
      throw refusal('tool_choice', 'it is only allowed with `tools`');
    }
    return null;
  }
  const names = new Set<string>();
  const made = tools.map((tool, index) => {
    const param = `tools.${index}`;
    const { type, name, description, input_schema: parameters } = tool;
    if (type != null && type !== 'custom')
      throw notServed(`${param}.type`, `Tools of type '${type}' are not served.`);
    if (parameters == null) throw refusal(`${param}.input_schema`, 'Field required');
    if (names.has(name))
      throw refusal(`${param}.name`, `tool names must be unique, and there are two '${name}'`);
    names.add(name);
    checkSchema(parameters, `${param}.input_schema`);
    return {
      type: 'function',
      function: { name, ...(description == null ? {} : { description }), parameters },
    };
  });
  checkValue(made, 'tools');
  if (choice?.type === 'tool' && !names.has(choice.name)) {
    throw refusal('tool_choice.name', `there is no tool '${choice.name}'`);
  }
  if (choice?.type === 'none') return null;
  return { tools: made, one: choice?.disable_parallel_tool_use === true };
}

/** null: any text. */
export function grammarOf({ tools, tool_choice: choice, output_config }: PromptBody): Grammar | null {
  if (tools != null && tools.length > 0) {
    const param = 'tool_choice';
    if (choice?.type === 'any') return { kind: GrammarKind.TOOL_CALL, text: '', param };
    if (choice?.type === 'tool') return { kind: GrammarKind.TOOL_CALL, text: choice.name, param };
  }
  const format = output_config?.format;
  if (format == null) return null;
  const param = 'output_config.format.schema';
  checkSchema(format.schema, param);
  return { kind: GrammarKind.JSON_SCHEMA, text: JSON.stringify(format.schema), param };
}

/** null: the messages are all there is. Templates call the switch for thinking by one of two names. */
export function extrasOf({ thinking }: PromptBody, tools: ToolUse | null): TemplateExtras | null {
  if (tools === null && thinking == null) return null;
  const extras: TemplateExtras = {};
  if (tools !== null) extras.tools = tools.tools;
  if (thinking != null) {
    const thinks = thinking.type !== 'disabled';
    extras.switches = { enable_thinking: thinks, thinking: thinks };
  }
  return extras;
}
