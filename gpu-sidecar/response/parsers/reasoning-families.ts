/** How each family of models marks its reasoning. Names are those of Dynamo and vLLM (`reasoning_parser`). */

import { HARMONY } from './tool-call-families.ts';

export interface ReasoningFamily {
  opens: readonly string[];
  closes: readonly string[];
  /** The answer begins inside the reasoning, since template or model leave the opening marker out. */
  startsOpen: boolean;
}

const think: ReasoningFamily = { opens: ['<think>'], closes: ['</think>'], startsOpen: false };
const thinkOpen: ReasoningFamily = { ...think, startsOpen: true };

export const REASONING_FAMILIES: Readonly<Record<string, ReasoningFamily | typeof HARMONY>> = {
  basic: think,
  deepseek_r1: thinkOpen,
  deepseek_v3_1: think,
  glm45: think,
  gpt_oss: HARMONY,
  granite: {
    opens: ["Here's my thought process:", 'Here is my thought process:'],
    closes: ["Here's my response:", 'Here is my response:'],
    startsOpen: false,
  },
  harmony: HARMONY,
  kimi: { opens: ['◁think▷'], closes: ['◁/think▷'], startsOpen: false },
  kimi_k2: think,
  minimax: think,
  minimax_append_think: thinkOpen,
  mistral: { opens: ['[THINK]'], closes: ['[/THINK]'], startsOpen: false },
  nemotron_deci: think,
  nemotron_nano: think,
  phi4: think,
  qwen3: think,
  seed_oss: { opens: ['<seed:think>'], closes: ['</seed:think>'], startsOpen: false },
  step3: thinkOpen,
};

/** What the end of a rendered prompt says of `reasoningOpen`; undefined: nothing, the family's own way counts. */
export function reasoningOpenAfter(prompt: string, reasoningParser: string): boolean | undefined {
  const family = REASONING_FAMILIES[reasoningParser];
  if (family === undefined || family === HARMONY) return undefined;
  const end = prompt.trimEnd();
  if (family.opens.some((marker) => end.endsWith(marker))) return true;
  return family.closes.some((marker) => end.endsWith(marker)) ? false : undefined;
}
