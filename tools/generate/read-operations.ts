/** Reads which paths the API serves from the request and response code of `@kubernetes/client-node`'s GA APIs. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { proseOf } from './read-models.ts';

export interface Operation {
  readonly id: string;
  readonly path: string;
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete' | 'head' | 'options';
  readonly description: string;
  /** Query parameters by name, in the order they are declared. */
  readonly query: readonly string[];
  /** Model of the body, or `any` for a patch. */
  readonly body?: string;
  /** Model (or `string`) by status code. */
  readonly answers: Readonly<Record<string, string>>;
}

export interface Operations {
  readonly operations: readonly Operation[];
  readonly parameters: Readonly<Record<string, { readonly type: 'string' | 'integer' | 'boolean'; readonly description: string }>>;
}

export function readOperations(folder: string): Operations {
  const operations: Operation[] = [];
  const parameters: Record<string, { type: 'string' | 'integer' | 'boolean'; description: string }> = {};
  for (const file of readdirSync(folder).toSorted()) {
    if (!/V\d+Api\.js$/.test(file)) continue;
    const source = readFileSync(join(folder, file), 'utf8');
    const split = source.search(/export class \w+ResponseProcessor/);
    const answers = readAnswers(source.slice(split));
    for (const [, comment, id, body] of source.slice(0, split).matchAll(/\/\*\*\n((?:(?!\*\/).)*)\*\/\n    async (\w+)\(.*?\n(.*?)\n    \}/gs)) {
      if (comment === undefined || id === undefined || body === undefined) continue;
      const prose = proseOf(comment);
      const query = [...body.matchAll(/setQueryParam\("(\w+)", ObjectSerializer\.serialize\(\w+, "(\w+)"/g)];
      for (const [, name, type] of query) {
        if (name === undefined || name in parameters) continue;
        const description = new RegExp(`^@param _?${name} (.*)$`, 'm').exec(prose)?.[1] ?? '';
        parameters[name] = { type: type === 'number' ? 'integer' : type === 'boolean' ? 'boolean' : 'string', description };
      }
      const serialized = /serialize\(body, "(\w+)"/.exec(body)?.[1];
      operations.push({
        id,
        path: /localVarPath = '([^']*)'/.exec(body)?.[1] ?? '',
        method: (/HttpMethod\.(\w+)/.exec(body)?.[1] ?? '').toLowerCase() as Operation['method'],
        description: prose.split('\n')[0] ?? '',
        query: query.map(([, name]) => name ?? ''),
        ...(serialized !== undefined && { body: serialized }),
        answers: answers.get(id) ?? {},
      });
    }
  }
  return { operations, parameters };
}

function readAnswers(source: string): Map<string, Record<string, string>> {
  const answers = new Map<string, Record<string, string>>();
  for (const [, id, body] of source.matchAll(/    async (\w+)WithHttpInfo\(response\) \{\n(.*?)\n    \}\n/gs)) {
    const codes: Record<string, string> = {};
    for (const [, code, model] of (body ?? '').matchAll(/isCodeInRange\("(\d+)", response\.httpStatusCode\)\) \{\n\s+const body = [^"]*"([^"]*)"/g)) {
      if (code !== undefined && model !== undefined) codes[code] = model;
    }
    if (id !== undefined) answers.set(id, codes);
  }
  return answers;
}

/** A kind as its paths show it. */
export interface ServedKind {
  readonly group: string;
  readonly version: string;
  readonly model: string;
  readonly kind: string;
  readonly resource: string;
  readonly namespaced: boolean;
}

/** The kinds that can be created or read at a path of their own, without subresources; core first, then groups in alphabetical order. */
export function servedKinds(operations: readonly Operation[]): ServedKind[] {
  const served = new Map<string, ServedKind>();
  for (const { path, method, answers } of operations) {
    const found = /^\/(?:api|apis\/([^/]+))\/(v\d+)\/(namespaces\/\{namespace\}\/)?([a-z]+)(\/\{name\})?$/.exec(path);
    if (found === null) continue;
    const [, group = '', version = '', namespaced, resource = '', named] = found;
    const isOwn = (method === 'get' && named !== undefined) || (method === 'post' && named === undefined);
    const model = answers['200'] ?? answers['201'];
    if (!isOwn || model === undefined) continue;
    const kind = model.replace(/^[A-Za-z]*?V\d+(?=[A-Z])/, '');
    served.set(`${group}/${version}/${resource}`, { group, version, model, kind, resource, namespaced: namespaced !== undefined });
  }
  return [...served].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, kind]) => kind);
}
