// Loads stator-grammar in Node: from the package on disk, once, at import.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { initGrammar } from '../../grammar.ts';

const file = fileURLToPath(new URL('../../pkg/grammar/stator_grammar_bg.wasm', import.meta.url).href);
initGrammar(readFileSync(file));

export * from '../../grammar.ts';
