/** What the pages for people share: their look, and commands to copy. No scripts, nothing loaded from elsewhere. */

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

/** `body` is HTML; `style` is added to the house's sheet. */
export function htmlPage(title: string, body: string, style = ''): Response {
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${STYLE}${style}</style></head><body>
${body}
</body></html>`;
  return new Response(html, {
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    },
  });
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export interface Command {
  method: string;
  url: string;
  /** Sent as JSON; absent: no body. */
  body?: unknown;
  needsKey: boolean;
}

/** A command line that does it, for a shell. */
export function curlOf({ method, url, body, needsKey }: Command): string {
  const parts = [`curl -N ${url}`];
  if (method !== 'get' && (method !== 'post' || body === undefined))
    parts[0] += ` -X ${method.toUpperCase()}`;
  if (body !== undefined) parts.push(`-H 'content-type: application/json'`);
  if (needsKey) parts.push(`-H 'authorization: Bearer YOUR-KEY'`);
  if (body !== undefined) parts.push(`-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`);
  return parts.join(' \\\n  ');
}
