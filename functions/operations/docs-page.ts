/** `GET /docs`: the reference, drawn from `/openapi.json`, with a command to try each operation. */
import { type OpenApiDocument, type OperationObject, openApiDocument } from '../openapi/document.ts';
import { type Row, rowsOf, type Schema, typeOf } from '../openapi/schema-rows.ts';
import { curlOf, escaped, htmlPage } from './html.ts';

const STYLE = `
body{max-width:58rem}details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:.55rem 1rem}
summary{cursor:pointer}summary code{font-weight:600}.method{display:inline-block;min-width:3.4rem;color:var(--accent);font:600 13px ui-monospace,monospace}
details[open]>summary{margin-bottom:.6rem}h3{font-size:.95rem;margin:1rem 0 .3rem}
table{border-collapse:collapse;width:100%;font-size:14px;display:block;overflow-x:auto}td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-top:1px solid var(--line)}
th{font-weight:600;color:var(--dim);border-top:0}td:first-child{white-space:nowrap}td code{font-size:13px}.must{color:var(--accent)}`;

const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const;

interface Entry {
  method: string;
  path: string;
  operation: OperationObject;
}

/** `origin` as the visitor reached it. */
export function docsPage(origin: string, needsKey: boolean): Response {
  const document = openApiDocument();
  const sections = document.tags.map(
    ({ name }) =>
      `<h2 id="${escaped(name)}">${escaped(name)}</h2>${entries(document, name)
        .map((entry) => operationHtml(entry, origin, needsKey))
        .join('')}`,
  );
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<details><summary><code>${escaped(name)}</code></summary><div id="schema-${escaped(name)}">${fieldsHtml(schema)}</div></details>`,
  );
  return htmlPage(
    'Stator: reference',
    `<h1>Reference</h1>
<p class="dim">${marked(document.info.description)}</p>
<p class="dim">Drawn from <a href="/openapi.json">/openapi.json</a>. Fields marked <span class="must">*</span> are required.
${needsKey ? 'A key is needed: <code>authorization: Bearer …</code> or <code>x-api-key</code>.' : 'No key is needed here.'}</p>
${sections.join('')}
<h2 id="schemas">Schemas</h2>${schemas.join('')}
<footer><a href="/">what runs here</a> · <a href="/openapi.json">openapi.json</a></footer>`,
    STYLE,
  );
}

function entries({ paths }: OpenApiDocument, tag: string): Entry[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    METHODS.flatMap((method) => {
      const operation = methods[method];
      return operation?.tags.includes(tag) ? [{ method, path, operation }] : [];
    }),
  );
}

function operationHtml({ method, path, operation }: Entry, origin: string, needsKey: boolean): string {
  const { operationId, summary, description, parameters = [], requestBody, responses, security } = operation;
  const json = requestBody?.content['application/json'];
  const command = curlOf({
    method,
    url: origin + path,
    body: json?.example ?? (json === undefined ? undefined : {}),
    needsKey: needsKey && security.length > 0,
  });
  const answers = Object.entries(responses).map(
    ([status, { description: said, content = {} }]) =>
      `<tr><td><code>${status}</code></td><td>${escaped(said)}</td><td>${Object.entries(content)
        .map(
          ([type, { schema }]) =>
            `<code>${escaped(type)}</code> ${schema === undefined ? '' : linked(typeOf(schema))}`,
        )
        .join('<br>')}</td></tr>`,
  );
  return (
    `<details id="${escaped(operationId)}"><summary><span class="method">${method.toUpperCase()}</span> ` +
    `<code>${escaped(path)}</code> <span class="dim">${escaped(summary)}</span></summary>` +
    (description === undefined ? '' : `<p>${marked(description)}</p>`) +
    `<pre>${escaped(command)}</pre>` +
    (parameters.length === 0
      ? ''
      : `<h3>Parameters</h3><table>${parameters.map(parameterHtml).join('')}</table>`) +
    (json?.schema === undefined ? '' : `<h3>Body</h3><p>${linked(typeOf(json.schema))}</p>`) +
    `<h3>Answers</h3><table>${answers.join('')}</table></details>`
  );
}

const parameterHtml = (parameter: NonNullable<OperationObject['parameters']>[number]): string =>
  `<tr><td><code>${escaped(parameter.name)}</code></td><td>${parameter.in}</td><td>${marked(parameter.description ?? '')}</td></tr>`;

function fieldsHtml(schema: Schema): string {
  const rows = rowsOf(schema);
  if (rows.length === 0) return `<p>${linked(typeOf(schema))}</p>`;
  return `<table><tr><th>field</th><th>type</th><th>bounds</th></tr>${rows.map(rowHtml).join('')}</table>`;
}

const rowHtml = ({ path, required, type, bounds }: Row): string =>
  `<tr><td><code>${escaped(path)}</code>${required ? ' <span class="must">*</span>' : ''}</td>` +
  `<td>${linked(type)}</td><td class="dim">${escaped(bounds)}</td></tr>`;

/** Backticks are code. */
const marked = (text: string): string => escaped(text).replace(/`([^`]+)`/g, '<code>$1</code>');

/** Names of components lead to them: a browser opens what a fragment is inside of. */
const linked = (type: string): string =>
  escaped(type).replace(/(?<![\w&#;/"])[A-Z]\w+/g, (name) => `<a href="#schema-${name}">${name}</a>`);
