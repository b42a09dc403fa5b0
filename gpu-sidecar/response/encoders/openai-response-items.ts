/**
 * Output items of OpenAI's Responses (https://platform.openai.com/docs/api-reference/responses/object): stretches of
 * reasoning and of text, calls of functions, in the order in which the model wrote them. Reasoning is told as it is
 * (`reasoning_text`), as servers of open models do. Ids follow from the response's id and the item's place.
 */

import type { ResponseFacts } from '../facts.ts';
import type { ContentPart } from '../parsers/parser.ts';

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface OutputItem {
  kind: 'message' | 'reasoning' | 'call';
  id: string;
  /** Of a call: its arguments. */
  text: string;
  /** Calls only. */
  callId: string;
  name: string;
  /** JSON of the log probabilities of a message, in order, without brackets; empty: none. */
  logprobs: string;
}

const PREFIXES = { message: 'msg', reasoning: 'rs', call: 'fc' } as const;

export class OutputItems {
  readonly list: OutputItem[] = [];
  readonly #key: string;

  constructor({ responseId }: ResponseFacts) {
    this.#key = responseId.slice(responseId.indexOf('_') + 1);
  }

  get last(): OutputItem | undefined {
    return this.list.at(-1);
  }

  /** Takes a part in; true: an item began with it. */
  add(part: ContentPart): boolean {
    switch (part.kind) {
      case 'content':
        return this.#goOn('message', part.text);
      case 'reasoning':
        return this.#goOn('reasoning', part.text);
      case 'tool_call':
        this.#begin('call', '', { callId: part.id ?? `call_${this.#key}_${part.index}`, name: part.name });
        return true;
      case 'tool_arguments':
        this.last!.text += part.text;
        return false;
    }
  }

  /** An answer without anything in it is an empty message; true: it was. */
  addEmpty(): boolean {
    if (this.list.length > 0) return false;
    this.#begin('message', '');
    return true;
  }

  #goOn(kind: 'message' | 'reasoning', text: string): boolean {
    const { last } = this;
    if (last?.kind === kind) {
      last.text += text;
      return false;
    }
    this.#begin(kind, text);
    return true;
  }

  #begin(kind: OutputItem['kind'], text: string, call = { callId: '', name: '' }): void {
    const id = `${PREFIXES[kind]}_${this.#key}_${this.list.length}`;
    this.list.push({ kind, id, text, ...call, logprobs: '' });
  }
}

/** The item as JSON; `in_progress`: as it begins, empty. */
export function itemJson(item: OutputItem, status: ItemStatus): string {
  const head = `{"id":"${item.id}","type":`;
  const begins = status === 'in_progress';
  switch (item.kind) {
    case 'message': {
      const content = begins ? '' : partJson(item, item.text);
      return `${head}"message","status":"${status}","role":"assistant","content":[${content}]}`;
    }
    case 'reasoning': {
      const content = begins ? '' : partJson(item, item.text);
      return `${head}"reasoning","status":"${status}","summary":[],"content":[${content}]}`;
    }
    case 'call': {
      const given = JSON.stringify(begins ? '' : item.text);
      return (
        `${head}"function_call","status":"${status}","call_id":${JSON.stringify(item.callId)},` +
        `"name":${JSON.stringify(item.name)},"arguments":${given}}`
      );
    }
  }
}

/** The one content part of a message or of reasoning. */
export const partJson = ({ kind, logprobs }: OutputItem, text: string): string =>
  kind === 'reasoning'
    ? `{"type":"reasoning_text","text":${JSON.stringify(text)}}`
    : `{"type":"output_text","annotations":[],"logprobs":[${logprobs}],"text":${JSON.stringify(text)}}`;
