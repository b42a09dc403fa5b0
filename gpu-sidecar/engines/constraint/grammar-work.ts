/** How much llguidance may do in one call. */

import type { GrammarLimits } from '#wasm/grammar';
import { LIMITS } from '../../../durable/runtime/limits.ts';

export const GRAMMAR_WORK: GrammarLimits = {
  rowItems: LIMITS.grammarRowItems,
  stepItems: LIMITS.grammarStepItems,
  lexerFuel: LIMITS.grammarLexerFuel,
  stepLexerFuel: LIMITS.grammarStepLexerFuel,
  lexerStates: LIMITS.grammarLexerStates,
  grammarSize: LIMITS.grammarSize,
};
