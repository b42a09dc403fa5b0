/**
 * Ids of responses and of their items: `resp_`, two hex digits that are the number of the object which keeps the response,
 * and the 32 of a UUID. Items repeat these digits and end with their place: `msg_…_2` of the output, `…_i2` of the input.
 */
import { LIMITS } from '../../durable/runtime/limits.ts';

const ID = /^resp_([0-9a-f]{2})[0-9a-f]{32}$/;
const ITEM_ID = /^[a-z]+_([0-9a-f]{34})_(i?)(\d{1,6})$/;

/** `uuid` with or without hyphens; of a new conversation `object` is drawn from it. */
export function newResponseId(uuid: string, object: number | null): string {
  const hex = uuid.replaceAll('-', '');
  const number = object ?? Number.parseInt(hex.slice(-8), 16) % LIMITS.conversationObjects;
  return `resp_${number.toString(16).padStart(2, '0')}${hex}`;
}

/** The object that keeps the response; null: the id is none of ours. */
export function objectOf(responseId: string): number | null {
  const match = ID.exec(responseId);
  const number = match === null ? LIMITS.conversationObjects : Number.parseInt(match[1]!, 16);
  return number < LIMITS.conversationObjects ? number : null;
}

export const inputItemId = (prefix: string, responseId: string, index: number): string =>
  `${prefix}_${responseId.slice('resp_'.length)}_i${index}`;

/** Where an item is that somebody refers to; null: nowhere. */
export function placeOf(itemId: string): { responseId: string; isInput: boolean; index: number } | null {
  const match = ITEM_ID.exec(itemId);
  if (match === null) return null;
  return { responseId: `resp_${match[1]}`, isInput: match[2] === 'i', index: Number(match[3]) };
}
