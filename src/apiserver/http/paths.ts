/** Paths that are not about resources: health, version, metrics, keys, and (given by others) discovery and OpenAPI. */
import type { IncomingHttpHeaders } from 'node:http';
import { notFoundPath } from '../../machinery/errors.ts';

export interface PathRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

export interface PathAnswer {
  readonly code: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers one path, or everything below a prefix that ends in a slash. */
export type PathHandler = (request: PathRequest) => PathAnswer;

/** Who answers a path: an exact match first, then the longest prefix. */
export class Paths {
  private readonly exact = new Map<string, PathHandler>();
  private readonly prefixes: { readonly prefix: string; readonly handler: PathHandler }[] = [];
  /** What `/` lists besides the fixed paths. */
  private readonly listed: (() => readonly string[])[] = [];

  add(path: string, handler: PathHandler): void {
    if (path.endsWith('/') && path !== '/') {
      this.prefixes.push({ prefix: path, handler });
      this.prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
    } else {
      this.exact.set(path, handler);
    }
  }

  addListed(paths: () => readonly string[]): void {
    this.listed.push(paths);
  }

  all(): string[] {
    const fixed = [...this.exact.keys()].filter((path) => path !== '/' && path !== '/version/');
    return [...new Set([...fixed, ...this.listed.flatMap((paths) => paths())])].sort();
  }

  /** Throws a 404 for a path nobody answers. */
  answer(request: PathRequest): PathAnswer {
    const trimmed = request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path;
    const handler = this.exact.get(trimmed) ?? this.prefixes.find(({ prefix }) => request.path.startsWith(prefix))?.handler;
    if (handler === undefined) throw notFoundPath();
    return handler(request);
  }
}

export function jsonAnswer(body: object, code = 200, headers?: Readonly<Record<string, string>>): PathAnswer {
  return { code, contentType: 'application/json', body: JSON.stringify(body), ...(headers && { headers }) };
}

export function textAnswer(body: string, code = 200): PathAnswer {
  return { code, contentType: 'text/plain; charset=utf-8', body };
}
