/** Does a refusal say in plain words what is wrong, and of which field? */

import { expect, test } from 'vitest';
import { messagesRequest } from '../../../functions/anthropic/messages-request.ts';
import { chatRequest } from '../../../functions/openai/chat-request.ts';
import { completionsRequest } from '../../../functions/openai/completions-request.ts';

const chat = (more: object) => () =>
  chatRequest({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...more });
const completion = (more: object) => () => completionsRequest({ model: 'm', prompt: 'hi', ...more });
const anthropic = (more: object) => () =>
  messagesRequest({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'hi' }], ...more });

const said: [string, () => unknown, string][] = [
  ['too much', chat({ n: 10_000 }), "Invalid value for 'n': must be at most 16."],
  ['too little', chat({ temperature: -1 }), "Invalid value for 'temperature': must be at least 0."],
  ['a bound that is outside', chat({ top_p: 0 }), "Invalid value for 'top_p': must be more than 0."],
  ['no whole number', chat({ n: 1.5 }), "Invalid value for 'n': expected an integer."],
  ['another kind', chat({ stream: 'yes' }), "Invalid value for 'stream': expected a boolean, got a string."],
  ['a list', chat({ metadata: [] }), "Invalid value for 'metadata': expected an object, got an array."],
  [
    'none of several kinds',
    chat({ stop: 5 }),
    "Invalid value for 'stop': expected a string or an array, got a number.",
  ],
  [
    'one of several kinds that is too long',
    chat({ stop: Array(1000).fill('a') }),
    "Invalid value for 'stop': it has more than 16 items.",
  ],
  ['nothing in it', chat({ messages: [] }), "Invalid value for 'messages': it is empty."],
  [
    'a word that is not on the list',
    chat({ tool_choice: 'maybe' }),
    `Invalid value for 'tool_choice': expected one of "none", "auto", "required".`,
  ],
  [
    'a type that is not on the list',
    chat({ response_format: { type: 'xml' } }),
    `Invalid value for 'response_format.type': expected one of "text", "json_object", "json_schema".`,
  ],
  ['a bad key', chat({ logit_bias: { a: 1 } }), "Invalid value for 'logit_bias.a': that is no key of it."],
  ['a field that is missing', chat({ messages: undefined }), "Missing required parameter: 'messages'."],
  ['one of several kinds', completion({ prompt: undefined }), "Missing required parameter: 'prompt'."],
  [
    'no object',
    () => chatRequest([]),
    'The request body must be a JSON object: expected an object, got an array.',
  ],
  ['Anthropic’s', anthropic({ temperature: 2 }), 'temperature: must be at most 1.'],
  ['Anthropic’s that is missing', anthropic({ max_tokens: undefined }), 'max_tokens: Field required'],
];

test.each(said)('%s', (_, ask, message) => {
  expect(ask).toThrow(expect.objectContaining({ code: 'invalid_request', message }));
});
