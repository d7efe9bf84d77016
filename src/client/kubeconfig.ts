/**
 * Kubeconfig files: who to connect to and as whom. Reading merges nothing and forgives nothing; writing changes our own entries only and keeps all
 * else, comments included. See https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
 */
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { Document, isMap, isScalar, isSeq, parseDocument, type YAMLSeq } from 'yaml';
import type { HttpTransportOptions } from './http.ts';

export interface KubeconfigCluster {
  readonly name: string;
  readonly server: string;
}

export interface KubeconfigContext {
  readonly name: string;
  readonly cluster: string;
  readonly user: string;
  readonly namespace: string | undefined;
}

export interface Kubeconfig {
  readonly clusters: readonly KubeconfigCluster[];
  readonly contexts: readonly KubeconfigContext[];
  readonly currentContext: string | undefined;
}

/** One cluster, one user and one context, all under the same name. PEM as text. */
export interface ContextEntry {
  readonly name: string;
  readonly server: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
  readonly namespace?: string;
}

export interface MergeOptions {
  /** Makes it the current context; true when absent. */
  readonly makeCurrent?: boolean;
}

/** A kubeconfig that cannot be read, understood or used; the message names the file. */
export class KubeconfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'KubeconfigError';
  }
}

type Fields = Readonly<Record<string, unknown>>;

/** The files kubectl would read: those of `$KUBECONFIG`, in order of precedence, or `~/.kube/config`. */
export function userKubeconfigPaths(environment: NodeJS.ProcessEnv = process.env): string[] {
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  return listed.length > 0 ? listed : [join(environment['HOME'] ?? homedir(), '.kube', 'config')];
}

/** The file kubectl would write a new context to: the first of `$KUBECONFIG` that exists, else the last of them, else `~/.kube/config`. */
export function userKubeconfigPath(environment: NodeJS.ProcessEnv = process.env): string {
  const paths = userKubeconfigPaths(environment);
  return paths.find((path) => readIfThere(path) !== undefined) ?? paths.at(-1) ?? '';
}

/** What a file says; undefined when there is none. Throws {@link KubeconfigError} when it is not a kubeconfig. */
export function readKubeconfig(path: string): Kubeconfig | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  const root = rootOf(parsed(path, text), path);
  const current = root['current-context'];
  return {
    clusters: named(root, 'clusters').map(({ name, fields }) => ({ name, server: textAt(inner(fields, 'cluster'), 'server') ?? '' })),
    contexts: named(root, 'contexts').map(({ name, fields }) => {
      const context = inner(fields, 'context');
      return { name, cluster: textAt(context, 'cluster') ?? '', user: textAt(context, 'user') ?? '', namespace: textAt(context, 'namespace') };
    }),
    currentContext: typeof current === 'string' && current !== '' ? current : undefined,
  };
}

/** How to connect as a file's context (its current one when absent) says. Files it names are read relative to it. */
export function connectionOf(path: string, contextName?: string): HttpTransportOptions {
  const text = readIfThere(path);
  if (text === undefined) throw new KubeconfigError(`the kubeconfig ${path} does not exist`);
  const root = rootOf(parsed(path, text), path);
  const chosen = contextName ?? root['current-context'];
  if (typeof chosen !== 'string' || chosen === '') throw new KubeconfigError(`the kubeconfig ${path} has no current context`);
  const entry = (list: string, name: string | undefined, key: string): Fields => {
    const found = named(root, list).find((candidate) => candidate.name === name);
    if (!found) throw new KubeconfigError(`${key} "${name ?? ''}" does not exist in the kubeconfig ${path}`);
    return inner(found.fields, key);
  };
  const context = entry('contexts', chosen, 'context');
  const cluster = entry('clusters', textAt(context, 'cluster'), 'cluster');
  const userName = textAt(context, 'user');
  const user = userName === undefined ? {} : entry('users', userName, 'user');

  const server = textAt(cluster, 'server');
  if (server === undefined) throw new KubeconfigError(`the cluster of context "${chosen}" in the kubeconfig ${path} has no server`);
  if (user['exec'] !== undefined || user['auth-provider'] !== undefined) {
    throw new KubeconfigError(`the user of context "${chosen}" in the kubeconfig ${path} needs a credential plugin, which k8ts does not run`);
  }
  const dataOrFile = (fields: Fields, key: string): string | undefined => {
    const data = textAt(fields, `${key}-data`);
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const file = textAt(fields, key);
    return file === undefined ? undefined : readNamed(path, file);
  };
  const tokenFile = textAt(user, 'tokenFile');
  return {
    server,
    ...optional('ca', dataOrFile(cluster, 'certificate-authority')),
    ...optional('serverName', textAt(cluster, 'tls-server-name')),
    ...(cluster['insecure-skip-tls-verify'] === true && { insecureSkipTlsVerify: true }),
    ...optional('certificate', dataOrFile(user, 'client-certificate')),
    ...optional('key', dataOrFile(user, 'client-key')),
    ...optional('token', textAt(user, 'token')),
    ...optional('tokenFile', tokenFile === undefined ? undefined : beside(path, tokenFile)),
    ...optional('impersonate', textAt(user, 'as')),
  };
}

/** A whole file for one identity, as components started alone read it. */
export function renderKubeconfig(entry: ContextEntry): string {
  const document = emptyConfig();
  mergeInto(document, entry, true);
  return printed(document, undefined);
}

/** Adds the entry to a file or replaces the one of that name; makes the file (and its folder) when absent. Mode 0600, replaced in one step. */
export function mergeContext(path: string, entry: ContextEntry, options: MergeOptions = {}): void {
  const text = readIfThere(path);
  const document = text === undefined || text.trim() === '' ? emptyConfig() : parsed(path, text);
  mergeInto(document, entry, options.makeCurrent ?? true);
  writeAtomically(path, printed(document, text));
}

/** Removes the context of that name with the cluster and user of the same name; does nothing when there is none. */
export function removeContextOf(path: string, name: string): void {
  const text = readIfThere(path);
  if (text === undefined) return;
  const document = parsed(path, text);
  let removed = false;
  for (const list of ['contexts', 'clusters', 'users']) {
    const sequence = document.get(list);
    if (!isSeq(sequence)) continue;
    const index = indexOfNamed(sequence, name);
    if (index < 0) continue;
    sequence.delete(index);
    // An empty list prints as `[]` whatever style it had.
    if (sequence.items.length === 0) sequence.flow = true;
    removed = true;
  }
  if (document.get('current-context') === name) {
    setCurrent(document, '');
    removed = true;
  }
  if (removed) writeAtomically(path, printed(document, text));
}

function emptyConfig(): Document {
  return new Document({ apiVersion: 'v1', kind: 'Config', preferences: {}, clusters: [], users: [], contexts: [], 'current-context': '' });
}

function mergeInto(document: Document, entry: ContextEntry, makeCurrent: boolean): void {
  const { name, server, ca, certificate, key, token, namespace } = entry;
  const base64 = (pem: string | undefined): string | undefined => (pem === undefined ? undefined : Buffer.from(pem).toString('base64'));
  setNamed(document, 'clusters', name, 'cluster', { ...optional('certificate-authority-data', base64(ca)), server });
  setNamed(document, 'users', name, 'user', {
    ...optional('client-certificate-data', base64(certificate)),
    ...optional('client-key-data', base64(key)),
    ...optional('token', token),
  });
  setNamed(document, 'contexts', name, 'context', { cluster: name, user: name, ...optional('namespace', namespace) });
  if (makeCurrent) setCurrent(document, name);
}

/** In place, which keeps a comment behind it. */
function setCurrent(document: Document, name: string): void {
  const scalar = document.get('current-context', true);
  if (!isScalar(scalar)) {
    document.set('current-context', name);
    return;
  }
  scalar.value = name;
  scalar.type = 'PLAIN';
}

/** In the style of what was there before, so that a diff shows our lines only; in kubectl's for a new file. */
function printed(document: Document, before: string | undefined): string {
  const indentSeq = before !== undefined && /^(clusters|contexts|users):[^\S\n]*\n\s+-/m.test(before);
  const flowCollectionPadding = before === undefined || !/\{\S/.test(before.replaceAll('{}', ''));
  return document.toString({ lineWidth: 0, indentSeq, flowCollectionPadding });
}

function setNamed(document: Document, list: string, name: string, key: string, value: Fields): void {
  const existing = document.get(list);
  let sequence: YAMLSeq;
  if (isSeq(existing)) {
    sequence = existing;
  } else {
    sequence = document.createNode([]);
    document.set(list, sequence);
  }
  sequence.flow = false;
  const index = indexOfNamed(sequence, name);
  const item = index < 0 ? undefined : sequence.items[index];
  if (isMap(item)) item.set(key, document.createNode(value));
  else sequence.add(document.createNode({ [key]: value, name }));
}

function indexOfNamed(sequence: YAMLSeq, name: string): number {
  return sequence.items.findIndex((item) => isMap(item) && item.get('name') === name);
}

// ---- reading

function parsed(path: string, text: string): Document {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new KubeconfigError(`the kubeconfig ${path} is not valid YAML: ${error.message.split('\n')[0] ?? ''}`, { cause: error });
  if (document.contents !== null && !isMap(document.contents)) throw new KubeconfigError(`the kubeconfig ${path} is not a YAML mapping`);
  return document;
}

function rootOf(document: Document, path: string): Fields {
  const value: unknown = document.toJS();
  if (value === null || value === undefined) return {};
  if (!isFields(value)) throw new KubeconfigError(`the kubeconfig ${path} is not a YAML mapping`);
  return value;
}

function named(root: Fields, list: string): { name: string; fields: Fields }[] {
  const items = root[list];
  if (!Array.isArray(items)) return [];
  return items.filter(isFields).map((fields) => ({ name: textAt(fields, 'name') ?? '', fields }));
}

function inner(fields: Fields, key: string): Fields {
  const value = fields[key];
  return isFields(value) ? value : {};
}

function textAt(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  // The computed key is K; TypeScript widens computed keys to string.
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
}

// ---- files

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new KubeconfigError(`the kubeconfig ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function readNamed(path: string, file: string): string {
  try {
    return readFileSync(beside(path, file), 'utf8');
  } catch (error) {
    throw new KubeconfigError(
      `${file}, which the kubeconfig ${path} names, cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

function beside(path: string, file: string): string {
  return isAbsolute(file) ? file : resolve(dirname(path), file);
}

/** Readers see the old file or the new one. Where the path is a link, what it leads to is replaced. */
function writeAtomically(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const target = readIfThere(path) === undefined ? path : realpathSync(path);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { mode: 0o600, flush: true });
    // An earlier temporary file of this name would have kept its mode.
    chmodSync(temporary, 0o600);
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new KubeconfigError(`the kubeconfig ${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
