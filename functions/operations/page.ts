/** The page at `/`: what runs here, in plain words, and a command to try it. No scripts, nothing loaded from elsewhere. */
import type { ModelEntry } from '../../durable/directory/rpc.ts';

/** Colours first; the rest of the sheet knows only these names. */
const STYLE = `
:root{--ink:#1b1f24;--dim:#5c6570;--ground:#fff;--panel:#f5f6f8;--line:#dfe3e8;--accent:#0b6bcb;--ready:#1a8f4c}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ec;--dim:#98a1ac;--ground:#14171b;--panel:#1d2126;--line:#2e343b;--accent:#7db7ff;--ready:#4cc38a}}
body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3.5rem auto;padding:0 1.25rem;color:var(--ink);background:var(--ground)}
h1{font-size:1.9rem;letter-spacing:-.02em;margin:0}h2{font-size:1.05rem;margin:2.25rem 0 .6rem}p{margin:.5rem 0}
.dim{color:var(--dim)}code,pre{font:14px/1.55 ui-monospace,monospace}
pre{background:var(--panel);border:1px solid var(--line);padding:1rem;border-radius:.5rem;white-space:pre-wrap;overflow-wrap:anywhere}
.model{border:1px solid var(--line);border-radius:.5rem;padding:.9rem 1.1rem;margin:.6rem 0}
.model p{margin:.3rem 0 0}.model strong::before{content:"";display:inline-block;width:.6em;height:.6em;border-radius:50%;background:var(--ready);margin-right:.6em}
.facts{float:right}a{color:var(--accent)}footer{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--line)}`;

/** `origin` as the visitor reached it. */
export function page(origin: string, models: readonly ModelEntry[], needsKey: boolean): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stator</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}</style></head><body>
<h1>Stator</h1>
<p class="dim">Large language models behind one address. OpenAI's clients work with the base URL
<code>${escaped(origin)}/v1</code>.</p>
<h2>Models</h2>
${models.length === 0 ? '<p>No model is ready yet: no worker has registered.</p>' : models.map(modelCard).join('')}
<h2>Try it</h2>
<pre>${escaped(curl(origin, models[0]?.name ?? 'MODEL', needsKey))}</pre>
<h2>What the built-in model is</h2>
<p>The model that comes with Stator, <code>stator-tiny</code>, is a demonstration, not an assistant: a few million
parameters, trained on some hundred questions about Stator itself, so that the whole path can be seen at work without a
download. For anything else start Stator with a model of your own: <code>npm start -- --model file.gguf</code>.</p>
<footer><a href="/v1/models">models</a> · <a href="/health">health</a> · <a href="/metrics">metrics</a> ·
<a href="/stator/v1/status">status</a></footer>
</body></html>`;
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    },
  });
}

function modelCard(model: ModelEntry): string {
  const workers = model.instances.length === 1 ? '1 worker' : `${model.instances.length} workers`;
  return (
    `<div class="model"><span class="facts dim">${model.contextLengthTokens} tokens · ${workers}</span>` +
    `<strong><code>${escaped(model.name)}</code></strong><p class="dim">${escaped(model.description)}</p></div>`
  );
}

function curl(origin: string, model: string, needsKey: boolean): string {
  const key = needsKey ? ` \\\n  -H 'authorization: Bearer YOUR-KEY'` : '';
  const body = JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'What is Stator?' }],
    stream: true,
    temperature: 0,
  });
  return `curl -N ${origin}/v1/chat/completions \\\n  -H 'content-type: application/json'${key} \\\n  -d '${body}'`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
