/**
 * What a request's `input` means: its own items, those that it refers to, and before them the conversation that it
 * continues. Everything stored is read in one call of one object, but for references into other conversations.
 */
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { conversationsOf, type Env } from '../env.ts';
import type { InputItem, ResponsesBody } from '../openai/responses-schema.ts';
import type { PlacedItem } from './items.ts';
import { inputItemId, objectOf, placeOf } from './response-id.ts';

/** The client's items, each with an id; ids that it gave stay. */
export function ownItems(input: ResponsesBody['input'], responseId: string): InputItem[] {
  if (typeof input === 'string') {
    const content = [{ type: 'input_text', text: input }];
    return [
      { type: 'message', id: inputItemId('msg', responseId, 0), role: 'user', content, status: 'completed' },
    ];
  }
  return input.map((item, index) => {
    if (item.type === 'item_reference') return item;
    const id = item.id ?? inputItemId(PREFIXES[item.type ?? 'message'], responseId, index);
    if (item.type !== undefined && item.type !== 'message') return { ...item, id };
    const { content } = item;
    const type = item.role === 'assistant' ? 'output_text' : 'input_text';
    const parts = typeof content === 'string' ? [{ type, text: content }] : content;
    return { ...item, type: 'message', id, content: parts, status: item.status ?? 'completed' };
  });
}

const PREFIXES = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
  reasoning: 'rs',
} as const;

/** With references replaced by what they refer to. Throws `not_found` naming the item. */
export async function resolved(env: Env, items: readonly InputItem[]): Promise<InputItem[]> {
  const whole: InputItem[] = [];
  for (const [index, item] of items.entries()) {
    whole.push(item.type === 'item_reference' ? await referred(env, item.id, `input[${index}].id`) : item);
  }
  return whole;
}

/** Their places in the body. */
export const placed = (items: readonly InputItem[]): PlacedItem[] =>
  items.map((item, index) => ({ item, param: `input[${index}]` }));

/** The items of the conversation so far. Throws `not_found` or `invalid_request` of `previous_response_id`. */
export async function historyOf(env: Env, previous: string): Promise<PlacedItem[]> {
  const param = 'previous_response_id';
  const object = objectOf(previous);
  if (object === null) throw missing(previous);
  const history = await conversationsOf(env, object).history(previous);
  if ('refused' in history) {
    switch (history.refused) {
      case 'missing':
        throw missing(history.id);
      case 'unfinished': {
        const message = `The response '${history.id}' is not finished: it cannot be continued yet.`;
        throw new StatorError('invalid_request', message, { param });
      }
      case 'too_long': {
        const message = `The conversation is longer than ${LIMITS.conversationTurns} turns or ${LIMITS.conversationLength} characters.`;
        throw new StatorError('invalid_request', message, { param });
      }
    }
  }
  const items: PlacedItem[] = [];
  for (const { input, document } of history.turns) {
    const { output } = JSON.parse(document) as { output: InputItem[] };
    for (const item of [...(JSON.parse(input) as InputItem[]), ...output]) items.push({ item, param });
  }
  return items;
}

const missing = (id: string) =>
  new StatorError('not_found', `Previous response with id '${id}' not found.`, {
    param: 'previous_response_id',
  });

async function referred(env: Env, id: string, param: string): Promise<InputItem> {
  const place = placeOf(id);
  const object = place === null ? null : objectOf(place.responseId);
  if (place !== null && object !== null) {
    const stub = conversationsOf(env, object);
    const { responseId, isInput, index } = place;
    const text = await (isInput ? stub.input(responseId) : stub.read(responseId));
    const stored = JSON.parse(text ?? '[]') as InputItem[] | { output: InputItem[] };
    const item = (Array.isArray(stored) ? stored : stored.output)[index];
    if (item !== undefined && 'id' in item && item.id === id) return item;
  }
  throw new StatorError('not_found', `Item with id '${id}' not found.`, { param });
}
