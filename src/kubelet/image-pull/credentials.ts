/**
 * Which credentials speak for a repository: those that a pod brings in its image pull secrets, then those of the node. Reads Docker's configuration in its
 * present form (`kubernetes.io/dockerconfigjson`) and the older one (`kubernetes.io/dockercfg`). Upstream: the Docker keyring.
 */
import { createHash } from 'node:crypto';
import type { Secret } from '../../api/kinds.ts';
import type { ImageAuth } from '../runtime/runtime.ts';

/** Whose they are: what the node may use anyone on it may use. */
export type CredentialOwner =
  | { readonly kind: 'node' }
  | { readonly kind: 'secret' | 'service-account'; readonly uid: string; readonly namespace: string; readonly name: string };

export interface Credential {
  readonly auth: ImageAuth;
  readonly owner: CredentialOwner;
}

/** Credentials by the registry, or the path in one, that they are for. */
export interface CredentialSource {
  readonly owner: CredentialOwner;
  readonly entries: Readonly<Record<string, unknown>>;
}

export const ofNode: CredentialOwner = { kind: 'node' };

/** The most specific path first. Entries that are spoiled are passed over, as upstream does. */
export function credentialsFor(sources: readonly CredentialSource[], registry: string, repository: string): readonly Credential[] {
  const found: { path: string; credential: Credential }[] = [];
  for (const { owner, entries } of sources) {
    for (const [server, entry] of Object.entries(entries)) {
      const path = server
        .replace(/^https?:\/\//, '')
        .replace(/\/(v[12]\/?)?$/, '')
        .replace(/^index\.docker\.io/, 'docker.io');
      if (coversRepository(path, registry, repository) && isRecord(entry)) found.push({ path, credential: { auth: imageAuth(entry), owner } });
    }
  }
  return found.sort((a, b) => b.path.length - a.path.length).map(({ credential }) => credential);
}

export function secretSource(secret: Secret): CredentialSource {
  const { uid, namespace, name } = secret.metadata;
  const current = secret.data?.['.dockerconfigjson'];
  const text = current ?? secret.data?.['.dockercfg'];
  const entries = text === undefined ? {} : entriesIn(Buffer.from(text, 'base64').toString('utf8'), current !== undefined);
  return { owner: { kind: 'secret', uid, namespace, name }, entries };
}

/** Docker's `config.json` on the node. */
export function nodeSource(text: string): CredentialSource {
  return { owner: ofNode, entries: entriesIn(text, true) };
}

/** `*` stands for one label, or for a part of one; a path covers everything below it. */
export function coversRepository(pattern: string, registry: string, repository: string): boolean {
  const [host = '', ...path] = pattern.split('/');
  const [patternName = '', patternPort = ''] = host.split(':');
  const [name = '', port = ''] = registry.split(':');
  const labels = patternName.split('.');
  const wanted = name.split('.');
  if (patternPort !== port || labels.length !== wanted.length) return false;
  if (!labels.every((label, index) => coversLabel(label, wanted[index] ?? ''))) return false;
  const prefix = path.join('/');
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`);
}

/** What tells one from another, without giving it away. */
export function credentialHash(auth: ImageAuth): string {
  const fields = [auth.username, auth.password, auth.serverAddress, auth.identityToken, auth.registryToken];
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex');
}

function coversLabel(pattern: string, label: string): boolean {
  if (!pattern.includes('*')) return pattern === label;
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(label);
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
