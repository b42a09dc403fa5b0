/** The page at `/`: what runs here, in plain words, and a command to try it. No scripts, nothing loaded from elsewhere. */
import type { ModelEntry } from '../../durable/directory/rpc.ts';

const STYLE =
  'body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1.25rem;color:#1b1f24;background:#fff}' +
  'h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}code,pre{font:14px/1.5 ui-monospace,monospace}' +
  'pre{background:#f3f4f6;padding:1rem;border-radius:.5rem;overflow-x:auto}td,th{text-align:left;padding:.25rem 1.5rem .25rem 0}' +
  '@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}pre{background:#20242a}a{color:#8ab4f8}}';

/** `origin` as the visitor reached it. */
export function page(origin: string, models: readonly ModelEntry[], needsKey: boolean): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stator</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head><body>
<h1>Stator</h1>
<p>A serving platform for large language models. OpenAI's clients work with the base URL <code>${escaped(origin)}/v1</code>.</p>
${models.length === 0 ? '<p>No model is ready yet: no worker has registered.</p>' : modelTable(models)}
<h2>Try it</h2>
<pre>${escaped(curl(origin, models[0]?.name ?? 'MODEL', needsKey))}</pre>
<h2>What the built-in model is</h2>
<p>The model that comes with Stator, <code>stator-tiny</code>, is a demonstration, not an assistant: a few million
parameters, trained on some hundred questions about Stator itself, so that the whole path can be seen at work without a
download. For anything else start Stator with a model of your own: <code>npm start -- --model file.gguf</code>.</p>
<p><a href="/v1/models">models</a> · <a href="/health">health</a> · <a href="/metrics">metrics</a> ·
<a href="/stator/v1/status">status</a></p>
</body></html>`;
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    },
  });
}

function modelTable(models: readonly ModelEntry[]): string {
  const rows = models.map(
    (model) =>
      `<tr><td><code>${escaped(model.name)}</code></td><td>${escaped(model.description)}</td>` +
      `<td>${model.contextLengthTokens}</td><td>${model.instances.length}</td></tr>`,
  );
  return `<table><tr><th>model</th><th></th><th>context, tokens</th><th>workers</th></tr>${rows.join('')}</table>`;
}

function curl(origin: string, model: string, needsKey: boolean): string {
  const key = needsKey ? ` \\\n  -H 'authorization: Bearer YOUR-KEY'` : '';
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'What is Stator?' }],
    stream: true,
  });
  return `curl -N ${origin}/v1/chat/completions -H 'content-type: application/json'${key} \\\n  -d '${body}'`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
