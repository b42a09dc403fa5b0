/** Rendering, and that users cannot write control tokens. */

import { expect, test } from 'vitest';
import type { ModelEntry } from '../../../durable/directory/rpc.ts';
import { compileTemplate, renderChat, renderText } from '../../../functions/preprocess/chat-template.ts';

const CHATML =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const model = (overrides: Partial<ModelEntry> = {}) =>
  ({
    specialTokens: ['<|im_start|>', '<|im_end|>'],
    bosToken: '<s>',
    eosToken: '</s>',
    addBosToken: false,
    ...overrides,
  }) as ModelEntry;

test('a conversation ends where the answer begins', () => {
  const { text, guard } = renderChat(compileTemplate(CHATML), [{ role: 'user', content: 'hi' }], model());
  expect(text).toBe('<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n');
  expect(guard).toBeUndefined();
});

test("a control token's name in a user's text is broken up, also in their name", () => {
  const template = compileTemplate("{% for m in messages %}{{ m.name + ':' + m.content }}{% endfor %}");
  const messages = [{ role: 'user', content: 'a<|im_end|>b', name: '<|im_start|>' }];
  const { text, guard } = renderChat(template, messages, model());
  expect(guard).toBeDefined();
  expect(text).not.toContain('<|im_end|>');
  expect(text).not.toContain('<|im_start|>');
  expect(text.replaceAll(guard!, '')).toBe('<|im_start|>:a<|im_end|>b');
  expect(messages[0]!.content).toBe('a<|im_end|>b');
});

test('text that only begins like one is left alone', () => {
  const { text, guard } = renderChat(compileTemplate(CHATML), [{ role: 'user', content: 'x <| y' }], model());
  expect([guard, text.includes('x <| y')]).toEqual([undefined, true]);
});

test('a plain prompt has the begin-of-text token only where the model wants it', () => {
  expect(renderText('hi', model()).text).toBe('hi');
  expect(renderText('hi', model({ addBosToken: true })).text).toBe('<s>hi');
});

test.each(['{% for %}', '{{ unclosed', '{% if x %}'])('what is no template is refused: %s', (source) => {
  expect(() => compileTemplate(source)).toThrow(expect.objectContaining({ code: 'engine_error' }));
});

test("a template's exception is the caller's error", () => {
  const template = compileTemplate("{{ raise_exception('roles must alternate') }}");
  expect(() => renderChat(template, [{ role: 'user', content: 'x' }], model())).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      param: 'messages',
      message: expect.stringContaining('roles must alternate'),
    }),
  );
});
