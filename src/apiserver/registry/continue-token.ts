/** Where the next page of a list begins, and at which revision: opaque to clients, in upstream's form. */
import { badRequest } from '../../machinery/errors.ts';

export interface ContinueToken {
  /** Undefined for whatever is newest then: a list that goes on though its revision is gone. */
  readonly revision: number | undefined;
  /** The path (`namespace/name`) of the last object of the page before. */
  readonly after: string;
}

const version = 'meta.k8s.io/v1';
const newest = -1;

export function encodeContinueToken({ revision, after }: ContinueToken): string {
  // Upstream's `start` is the first possible key of the next page.
  return Buffer.from(JSON.stringify({ v: version, rv: revision ?? newest, start: `${after}\0` }), 'utf8').toString('base64url');
}

export function decodeContinueToken(text: string): ContinueToken {
  let token: unknown;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    throw badRequest('continue key is not valid: it is not a token this server gave');
  }
  if (typeof token !== 'object' || token === null) throw badRequest('continue key is not valid: it is not a token this server gave');
  const { v, rv, start } = token as { v?: unknown; rv?: unknown; start?: unknown };
  if (v !== version) throw badRequest(`continue key is not valid: server does not recognize this encoded version ${JSON.stringify(v)}`);
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0 || rv < newest)
    throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof start !== 'string' || start === '') throw badRequest('continue key is not valid: encoded start key empty (version meta.k8s.io/v1)');
  return { revision: rv === newest ? undefined : rv, after: start.endsWith('\0') ? start.slice(0, -1) : start };
}
