/** The page at `/`: what runs here, in plain words, and a command to try it. No scripts, nothing loaded from elsewhere. */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import { curlOf, escaped, htmlPage } from './html.ts';

/** `origin` as the visitor reached it. */
export function page(origin: string, models: readonly ModelEntry[], needsKey: boolean): Response {
  return htmlPage(
    'Stator',
    `<h1>Stator</h1>
<p class="dim">Large language models behind one address. OpenAI's clients work with the base URL
<code>${escaped(origin)}/v1</code>, Anthropic's with <code>${escaped(origin)}</code>.</p>
<h2>Models</h2>
${models.length === 0 ? '<p>No model is ready yet: no worker has registered.</p>' : models.map(modelCard).join('')}
<h2>Try it</h2>
<pre>${escaped(curlOf({ method: 'post', url: `${origin}/v1/chat/completions`, body: question(models[0]?.name ?? 'MODEL'), needsKey }))}</pre>
<h2>What the built-in model is</h2>
<p>The model that comes with Stator, <code>stator-tiny</code>, is a demonstration, not an assistant: a few million
parameters, trained on some hundred questions about Stator itself, so that the whole path can be seen at work without a
download. For anything else start Stator with a model of your own: <code>npm start -- --model file.gguf</code>.</p>
<footer><a href="/docs">reference</a> · <a href="/v1/models">models</a> · <a href="/health">health</a> · <a href="/metrics">metrics</a> ·
<a href="/stator/v1/status">status</a></footer>`,
  );
}

function modelCard(model: ModelEntry): string {
  const workers = model.instances.length === 1 ? '1 worker' : `${model.instances.length} workers`;
  return (
    `<div class="model"><span class="facts dim">${model.contextLengthTokens} tokens · ${workers}</span>` +
    `<strong><code>${escaped(model.name)}</code></strong><p class="dim">${escaped(model.description)}</p></div>`
  );
}

const question = (model: string) => ({
  model,
  messages: [{ role: 'user', content: 'What is Stator?' }],
  stream: true,
  temperature: 0,
});
