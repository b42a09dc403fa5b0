/** `GET /openapi.json`: the API as OpenAPI 3.1, made once per isolate. */
import { openApiDocument } from '../openapi/document.ts';

let text: string | null = null;

export function openApi(): Response {
  text ??= JSON.stringify(openApiDocument());
  return new Response(text, { headers: { 'content-type': 'application/json' } });
}
