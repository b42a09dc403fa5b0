/**
 * `POST /tokenize`: the tokens that a prompt or a conversation would be sent as, exactly as the inference endpoints make them:
 * user text that names a control token stays text.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { readJson } from '../body.ts';
import { directoryOf, type Env, settingsOf } from '../env.ts';
import { chatRequest } from '../openai/chat-request.ts';
import { parseBody } from '../openai/parse.ts';
import { wellFormed } from '../openai/well-formed.ts';
import type { FileSource } from '../preprocess/artifacts.ts';
import { type RenderedPrompt, renderChat, renderText } from '../preprocess/chat-template.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { templateOf } from '../preprocess/model-files.ts';
import { tokeniseText } from '../preprocess/tokenise.ts';
import { tokenPieces } from './token-pieces.ts';
import { type TokenizeAnswer, type TokenizeBody, tokenizeSchema } from './tokens-schema.ts';

const utf8 = new TextDecoder();

/** Throws `invalid_request` naming the field, or `model_not_found`. */
export async function tokenize(env: Env, request: Request, nowMs: number): Promise<Response> {
  const settings = settingsOf(env);
  const source = { env, settings };
  const body = parseBody(tokenizeSchema, await readJson(request, settings.bodyLimitBytes));
  const model = await directoryCopy.find(body.model, (known) => directoryOf(env).read(known), nowMs);
  const rendered = await renderedOf(body, model, source);
  const { tokenIds } = await tokeniseText(model, rendered, { source, seed: undefined });
  const ids = new Uint32Array(tokenIds.slice().buffer);
  const pieces = body.return_token_strs ? await tokenPieces(model, ids, source) : null;
  const answer: TokenizeAnswer = {
    count: ids.length,
    max_model_len: model.contextLengthTokens,
    tokens: [...ids],
    token_strs: pieces?.map((piece) => utf8.decode(piece)) ?? null,
  };
  return Response.json(answer);
}

async function renderedOf(
  body: TokenizeBody,
  model: ModelEntry,
  source: FileSource,
): Promise<RenderedPrompt> {
  const { prompt, add_generation_prompt, add_special_tokens, return_token_strs: _, ...chat } = body;
  const { messages } = chat;
  if ((prompt == null) === (messages == null)) {
    const message = "Give either 'prompt' or 'messages'.";
    throw new StatorError('invalid_request', message, { param: prompt == null ? 'prompt' : 'messages' });
  }
  if (prompt != null) {
    const addBosToken = model.addBosToken && add_special_tokens !== false;
    return renderText(wellFormed(prompt, 'prompt'), { ...model, addBosToken });
  }
  // What a chat request would make of it, with its checks.
  const asked = chatRequest(chat).prompt;
  if (asked.kind !== 'messages') throw new StatorError('internal', 'a chat request without messages');
  const rendered = renderChat(await templateOf(model, source), {
    ...asked,
    model,
    addGenerationPrompt: add_generation_prompt ?? true,
  });
  const begin = add_special_tokens && model.addBosToken ? model.bosToken : '';
  return { ...rendered, text: begin + rendered.text };
}
