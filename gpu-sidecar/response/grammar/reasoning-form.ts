/**
 * What a model may or must write before an answer that is held to a form: its reasoning, and with gpt-oss the header of
 * the message. As a grammar that goes on with `@answer`.
 */

import { REASONING_FAMILIES } from '../parsers/reasoning-families.ts';
import { HARMONY } from '../parsers/tool-call-families.ts';
import type { AnswerForm } from './answer-form.ts';
import { HARMONY_MARK } from './call-forms.ts';
import { Lark } from './lark.ts';
import { escaped, textWithout } from './text-without.ts';

type Named = Pick<AnswerForm, 'toolCallParser' | 'reasoningParser'>;

/** Its whole answer is messages. */
export const isHarmony = ({ toolCallParser, reasoningParser }: Named): boolean =>
  toolCallParser === HARMONY || (reasoningParser !== null && REASONING_FAMILIES[reasoningParser] === HARMONY);

/** null: the answer is all there is. `forced`: it is calls, which bring their own headers. */
export function beforeAnswer(form: AnswerForm, { forced }: { forced: boolean }): string | null {
  const lark = new Lark(form.controls);
  const rule = isHarmony(form) ? harmony(lark, forced) : reasoning(lark, form);
  if (rule === null) return null;
  lark.rule('start', rule);
  return lark.parts()[0]!.lark_grammar!;
}

function harmony(lark: Lark, forced: boolean): string {
  const thought = lark.textThen([textWithout(HARMONY_MARK)], '<|end|>');
  const analysis = `(${lark.text('<|channel|>analysis<|message|>')} ${thought} ${lark.text('<|start|>assistant')})?`;
  return `${analysis} ${forced ? '' : lark.text('<|channel|>final<|message|>')} @answer`;
}

function reasoning(lark: Lark, { reasoningParser, reasoningOpen, controls }: AnswerForm): string | null {
  const family = reasoningParser === null ? undefined : REASONING_FAMILIES[reasoningParser];
  if (family === undefined || family === HARMONY) return null;
  const { opens, closes, startsOpen } = family;
  lark.rule('inside', 'thought SPACE?');
  lark.rule('SPACE', '/[ \\n]{1,4}/');
  const tokens = closes.filter((marker) => controls.has(marker));
  if (tokens.length === 0) lark.rule(`thought[suffix=/${closes.map(escaped).join('|')}/]`, '/(?s:.*)/');
  else lark.rule('thought', tokens.map((marker) => lark.textThen([textWithout(marker)], marker)).join(' | '));
  if (reasoningOpen ?? startsOpen) return 'inside @answer';
  lark.rule('open', opens.map((marker) => lark.text(marker)).join(' | '));
  return '(open inside)? @answer';
}
