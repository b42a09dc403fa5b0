/**
 * Whether an answer is one that the published OpenAPI document describes: status, media type, and the body or every
 * event of a stream. Says what is wrong in words; nothing is thrown.
 */

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import {
  type OpenApiDocument,
  type OperationObject,
  openApiDocument,
} from '../../functions/openapi/document.ts';

const ROOT = 'https://stator.example/openapi.json';
type Content = NonNullable<OperationObject['responses'][string]['content']>;

export interface Answered {
  method: string;
  path: string;
  status: number;
  contentType: string;
}

/** A body that is being watched: text as it comes, then its end. */
export interface Watched {
  push(text: string): void;
  /** `whole`: the body came to its end, and was not cut by the client or the network. */
  end(whole: boolean): void;
}

export class PublishedAnswers {
  readonly #document: OpenApiDocument = openApiDocument();
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #paths: { pattern: RegExp; path: string }[];
  readonly #validators = new Map<string, ValidateFunction>();

  constructor() {
    this.#ajv.addSchema({ ...this.#document, $id: ROOT });
    this.#paths = Object.keys(this.#document.paths)
      .map((path) => {
        const literal = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
        const pattern = new RegExp(`^${literal.replace(/\{\w+\}/g, '.+')}$`);
        return { pattern, path, parts: path.split('/').length, parameters: path.split('{').length };
      })
      // What says more of a path comes first.
      .sort((a, b) => b.parts - a.parts || a.parameters - b.parameters || b.path.length - a.path.length);
  }

  /** Looks at the head, and gives a watcher of the body. `complain` hears of each thing that is wrong. */
  watch(answered: Answered, complain: (what: string) => void): Watched {
    const { method, path, status, contentType } = answered;
    const say = (what: string) => complain(`${method} ${path} ${status} ${contentType}: ${what}`);
    const found = this.#contentOf(answered);
    if (typeof found === 'string') {
      say(found);
      return { push() {}, end() {} };
    }
    const type = contentType.split(';')[0]!.trim();
    if (found.content === undefined) {
      if (contentType !== '') say('no body is published');
      return { push() {}, end() {} };
    }
    if (found.content[type] === undefined) {
      say(`only ${Object.keys(found.content).join(', ')} is published`);
      return { push() {}, end() {} };
    }
    const validate = found.content[type].schema && this.#validator([...found.at, 'content', type, 'schema']);
    if (!validate) return { push() {}, end() {} };
    const check = (json: string) => {
      try {
        if (!validate(JSON.parse(json))) say(`${this.#ajv.errorsText(validate.errors)} in ${json}`);
      } catch {
        say(`not JSON: ${json}`);
      }
    };
    return type === 'text/event-stream' ? eventWatcher(check, say) : documentWatcher(check);
  }

  /** What is published for such an answer and where it stands, or why there is nothing. */
  #contentOf({ method, path, status }: Answered): { content: Content | undefined; at: string[] } | string {
    const known = this.#paths.find(({ pattern }) => pattern.test(path))?.path;
    const operation = known === undefined ? undefined : this.#document.paths[known]?.[method.toLowerCase()];
    if (known === undefined || operation === undefined) {
      // A path, or a method of a path, that is not there: the answer must be the error that says so.
      if (status !== (known === undefined ? 404 : 405)) return 'no such operation is published';
      return this.#error(path);
    }
    const name = operation.responses[status] ? String(status) : `${Math.floor(status / 100)}XX`;
    const response = operation.responses[name];
    if (response === undefined) return 'no such status is published';
    return { content: response.content, at: ['paths', known, method.toLowerCase(), 'responses', name] };
  }

  /** Errors of routes that are not there have the form of their neighbours. */
  #error(path: string): { content: Content | undefined; at: string[] } {
    const [neighbour, methods] =
      Object.entries(this.#document.paths).find(([known]) => path.startsWith(known) && known.length > 1) ??
      Object.entries(this.#document.paths)[0]!;
    const [method, operation] = Object.entries(methods)[0]!;
    const at = ['paths', neighbour, method, 'responses', '4XX'];
    return { content: operation.responses['4XX']?.content, at };
  }

  #validator(place: readonly string[]): ValidateFunction {
    const pointer = place
      .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/');
    let validate = this.#validators.get(pointer);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: `${ROOT}#/${pointer}` });
      this.#validators.set(pointer, validate);
    }
    return validate;
  }
}

function documentWatcher(check: (json: string) => void): Watched {
  let text = '';
  return {
    push(more) {
      text += more;
    },
    end(whole) {
      if (whole) check(text);
    },
  };
}

/** Each complete event's data; comments are none. A named event says its name in its data, too. */
function eventWatcher(check: (json: string) => void, say: (what: string) => void): Watched {
  let rest = '';
  return {
    push(more) {
      rest += more;
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        const lines = rest.slice(0, end).split('\n');
        rest = rest.slice(end + 2);
        const data = lines.find((line) => line.startsWith('data: '))?.slice('data: '.length);
        const name = lines.find((line) => line.startsWith('event: '))?.slice('event: '.length);
        if (data === undefined || data === '[DONE]') continue;
        check(data);
        if (name !== undefined && (JSON.parse(data) as { type?: string }).type !== name) {
          say(`the event '${name}' has another type in its data: ${data}`);
        }
      }
    },
    end(whole) {
      if (whole && rest !== '') say(`the stream ends inside an event: ${rest}`);
    },
  };
}
