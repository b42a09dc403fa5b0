/** `POST /detokenize`: the text of tokens, control tokens included where the tokenizer runs here. */
import { readJson } from '../body.ts';
import { concat } from '../bytes.ts';
import { directoryOf, type Env, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { tokenIdsOf } from '../openai/token-prompt.ts';
import { directoryCopy } from '../preprocess/directory-copy.ts';
import { tokenPieces } from './token-pieces.ts';
import { detokenizeSchema } from './tokens-schema.ts';

const utf8 = new TextDecoder();

/** Throws `invalid_request` naming the field, or `model_not_found`. */
export async function detokenize(env: Env, request: Request, nowMs: number): Promise<Response> {
  const settings = settingsOf(env);
  const body = parseBody(detokenizeSchema, await readJson(request, settings.bodyLimitBytes));
  const model = await directoryCopy.find(body.model, (known) => directoryOf(env).read(known), nowMs);
  const pieces = await tokenPieces(model, tokenIdsOf(body.tokens, 'tokens'), { env, settings });
  return Response.json({ prompt: utf8.decode(concat(pieces)) });
}
