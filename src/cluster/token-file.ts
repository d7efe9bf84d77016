/** Static bearer tokens, for `--token-auth-file`. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file */
import { readFileSync } from 'node:fs';
import type { User } from '../apiserver/request.ts';
import { ClusterError } from './config.ts';

/** Upstream's token file: `token,user,uid,"group1,group2"` on each line. Throws {@link ClusterError} naming the line that is not. */
export function readTokens(path: string): Map<string, User> {
  const tokens = new Map<string, User>();
  for (const [index, line] of textOf(path).split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [token = '', name = '', uid = '', groups = ''] = (line.match(/"[^"]*"|[^,]+|(?<=,)(?=,|$)/g) ?? []).map((field) =>
      field.trim().replace(/^"|"$/g, ''),
    );
    if (token === '' || name === '') throw new ClusterError(`${path}:${index + 1}: a line is token,user,uid,"group1,group2"`);
    const listed = groups.split(',').filter((group) => group !== '');
    tokens.set(token, { name, uid, groups: [...listed, 'system:authenticated'], extra: {} });
  }
  return tokens;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new ClusterError(`the token file ${path} ${missing ? 'is not there' : `cannot be read: ${String(error)}`}`);
  }
}
