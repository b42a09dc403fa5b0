/** The model that is served when none is named (see models/tiny). */

import { join } from 'node:path';

export const BUILT_IN_MODEL_PATH: string = join(import.meta.dirname, 'tiny', 'stator-tiny.gguf');
