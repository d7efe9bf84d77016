/** Which of a pod's image pull secrets speak for a registry. Reads `kubernetes.io/dockerconfigjson` and the older `kubernetes.io/dockercfg`. */
import type { Secret } from '../api/kinds.ts';
import type { ImageAuth } from './runtime/runtime.ts';

/**
 * Most specific path first, the pod's before the node's own (`nodeConfig`, a Docker configuration). Secrets that are missing or unreadable are passed over,
 * as upstream does.
 */
export function registryCredentials(
  secrets: readonly (Secret | undefined)[],
  registry: string,
  repository: string,
  nodeConfig = '',
): readonly ImageAuth[] {
  const found: { path: string; auth: ImageAuth }[] = [];
  for (const entries of [...secrets.map(authEntries), entriesIn(nodeConfig, true)]) {
    for (const [server, entry] of Object.entries(entries)) {
      const path = server
        .replace(/^https?:\/\//, '')
        .replace(/\/(v[12]\/?)?$/, '')
        .replace(/^index\.docker\.io/, 'docker.io');
      if (covers(path, registry, repository) && isRecord(entry)) found.push({ path, auth: imageAuth(entry) });
    }
  }
  return found.sort((a, b) => b.path.length - a.path.length).map(({ auth }) => auth);
}

function authEntries(secret: Secret | undefined): Record<string, unknown> {
  const current = secret?.data?.['.dockerconfigjson'];
  const legacy = secret?.data?.['.dockercfg'];
  const text = current ?? legacy;
  return text === undefined ? {} : entriesIn(Buffer.from(text, 'base64').toString('utf8'), current !== undefined);
}

function entriesIn(text: string, isCurrent: boolean): Record<string, unknown> {
  if (text === '') return {};
  try {
    const parsed: unknown = JSON.parse(text);
    const entries = isCurrent && isRecord(parsed) ? parsed.auths : parsed;
    return isRecord(entries) ? entries : {};
  } catch {
    return {};
  }
}

/** `*.example.com` stands for one label; a path covers everything below it. */
function covers(pattern: string, registry: string, repository: string): boolean {
  const [host = '', ...path] = pattern.split('/');
  const labels = host.split('.');
  const wanted = registry.split('.');
  if (labels.length !== wanted.length || !labels.every((label, index) => label === '*' || label === wanted[index])) return false;
  const prefix = path.join('/');
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}

/** Without the server's address: the credentials were chosen for it, and containerd takes none that is not a whole URL. */
function imageAuth(entry: Record<string, unknown>): ImageAuth {
  const text = (name: string): string => (typeof entry[name] === 'string' ? entry[name] : '');
  const decoded = Buffer.from(text('auth'), 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return {
    username: text('username') || (colon < 0 ? '' : decoded.slice(0, colon)),
    password: text('password') || (colon < 0 ? '' : decoded.slice(colon + 1)),
    serverAddress: '',
    identityToken: text('identitytoken'),
    registryToken: text('registrytoken'),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
