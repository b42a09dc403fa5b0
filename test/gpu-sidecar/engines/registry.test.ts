/** Engines by name. */

import { describe, expect, it } from 'vitest';
import { engineKind } from '../../../gpu-sidecar/engines/registry.ts';

describe('the engine registry', () => {
  it('knows every engine by its name', () => {
    for (const name of ['llama', 'mock']) expect(engineKind(name).name).toBe(name);
  });

  it('names what there is when asked for something else', () => {
    expect(() => engineKind('vllm2')).toThrow(/unknown engine vllm2; there are llama, mock/);
  });
});
