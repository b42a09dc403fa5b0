/** Parsers by name, and what the end of a prompt says of the reasoning. */

import { describe, expect, it } from 'vitest';
import { reasoningOpenAfter } from '../../../../gpu-sidecar/response/parsers/reasoning-families.ts';
import { makeContentParser } from '../../../../gpu-sidecar/response/parsers/registry.ts';

describe('the registry', () => {
  it('has no parser where none is named', () => {
    expect(makeContentParser({ toolCallParser: null, reasoningParser: null, tools: [] })).toBeNull();
  });

  it.each(['nobody', 'toString'])('refuses the unknown name %s and says the field', (name) => {
    const make = (names: object) => () =>
      makeContentParser({ toolCallParser: null, reasoningParser: null, tools: [], ...names });
    expect(make({ toolCallParser: name })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'tool_call_parser' }),
    );
    expect(make({ reasoningParser: name })).toThrow(
      expect.objectContaining({ code: 'invalid_request', param: 'reasoning_parser' }),
    );
  });
});

describe('the end of a prompt', () => {
  it('says that the reasoning is open, closed, or nothing', () => {
    expect(reasoningOpenAfter('<|im_start|>assistant\n<think>\n', 'qwen3')).toBe(true);
    expect(reasoningOpenAfter('<|im_start|>assistant\n<think>\n\n</think>\n\n', 'qwen3')).toBe(false);
    expect(reasoningOpenAfter('<|im_start|>assistant\n', 'qwen3')).toBeUndefined();
    expect(reasoningOpenAfter('<|start|>assistant', 'gpt_oss')).toBeUndefined();
  });
});
