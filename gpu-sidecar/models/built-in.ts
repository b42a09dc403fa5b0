/** The model that is served when none is named (see models/tiny). */

import { fileURLToPath } from 'node:url';

export const BUILT_IN_MODEL_PATH: string = fileURLToPath(new URL('./tiny/stator-tiny.gguf', import.meta.url));
