/** Bodies and answers of `POST /tokenize` and `POST /detokenize`, with vLLM's fields. */
import * as z from 'zod';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { chatSchema } from '../openai/chat-schema.ts';

const { messages, tools, documents, chat_template_kwargs } = chatSchema.shape;
const model = z.string().min(1).max(LIMITS.modelNameLength);

export const tokenizeSchema = z.looseObject({
  model,
  /** One of the two. */
  prompt: z.string().nullish(),
  messages: messages.nullish(),
  /** Of messages: ends where the assistant's answer begins. Default true. */
  add_generation_prompt: z.boolean().nullish(),
  /** The begin-of-text token, where the model wants it. Default true for a prompt, false for messages, whose template writes it. */
  add_special_tokens: z.boolean().nullish(),
  return_token_strs: z.boolean().nullish(),
  tools,
  documents,
  chat_template_kwargs,
});

export const tokenizeAnswerSchema = z.object({
  count: z.number().int().min(0),
  max_model_len: z.number().int(),
  tokens: z.array(z.number().int().min(0)),
  token_strs: z.array(z.string()).nullable(),
});

export const detokenizeSchema = z.looseObject({ model, tokens: z.array(z.unknown()) });

export const detokenizeAnswerSchema = z.object({ prompt: z.string() });

export type TokenizeBody = z.output<typeof tokenizeSchema>;
export type TokenizeAnswer = z.output<typeof tokenizeAnswerSchema>;
