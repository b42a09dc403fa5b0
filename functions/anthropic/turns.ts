/**
 * Anthropic's messages as turns: those of one role in a row are one. Refused as Anthropic does: messages without
 * content (but a last one of the assistant), calls without results, results without calls.
 */
import type { Block, MessageParam } from './messages-schema.ts';
import { refusal } from './parse.ts';

/** A block and where it stands in the body. */
interface PlacedBlock {
  block: Block;
  param: string;
}

export interface Turn {
  role: MessageParam['role'];
  blocks: PlacedBlock[];
}

export function turnsOf(messages: readonly MessageParam[]): Turn[] {
  const turns: Turn[] = [];
  messages.forEach(({ role, content }, index) => {
    const param = `messages.${index}`;
    const isLast = index === messages.length - 1;
    if (content.length === 0 && !(isLast && role === 'assistant')) {
      throw refusal(
        param,
        'all messages must have non-empty content except for the optional final assistant message',
      );
    }
    const blocks = blocksOf(content, `${param}.content`);
    const before = turns.at(-1);
    if (before?.role === role) before.blocks.push(...blocks);
    else turns.push({ role, blocks });
  });
  return turns;
}

function blocksOf(content: MessageParam['content'], param: string): PlacedBlock[] {
  if (typeof content !== 'string') {
    return content.map((block, at) => ({ block, param: `${param}.${at}` }));
  }
  return content === '' ? [] : [{ block: { type: 'text', text: content }, param }];
}

/** Each call has its result in the turn behind it, and each result its call in the turn before. */
export function checkResults(turns: readonly Turn[]): void {
  let open = new Set<string>();
  for (const { blocks } of turns) {
    for (const { block, param } of blocks) {
      if (block.type !== 'tool_result' || open.delete(block.tool_use_id)) continue;
      const reason = `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}. Each`;
      throw refusal(param, `${reason} \`tool_result\` needs a \`tool_use\` in the message before it.`);
    }
    refuseOpen(open);
    open = new Set(idsOf(blocks));
  }
  refuseOpen(open);
}

function refuseOpen(calls: ReadonlySet<string>): void {
  if (calls.size === 0) return;
  const ids = [...calls].join(', ');
  throw refusal('messages', `\`tool_use\` ids without \`tool_result\` blocks immediately after: ${ids}`);
}

function idsOf(blocks: readonly PlacedBlock[]): string[] {
  return blocks.flatMap(({ block }) => (block.type === 'tool_use' ? [block.id] : []));
}
