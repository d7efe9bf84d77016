/**
 * Who calls the kubelet's server, and whether they may. Callers show a certificate of the cluster's client CA: its common name is the user, its
 * organizations the groups; or a bearer token, which the API server is asked about. Each path belongs to a subresource of `nodes`, which the API server is
 * asked about, too; itself and `system:masters` may always call, and they alone where nobody can be asked.
 */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

export interface Caller {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Record<string, string[]>;
}

export interface KubeletAttributes {
  readonly verb: 'get' | 'create' | 'update' | 'patch' | 'delete';
  /** Any of them will do: a page of its own, such as `pods`, and `proxy`, which stands for everything. */
  readonly subresources: readonly string[];
  readonly path: string;
}

/** Undefined when the caller showed no certificate, or one that does not chain to the client CA. */
export function callerOf(request: IncomingMessage): Caller | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  // Several organizations come as a list, though the types know one only.
  const groups: string | readonly string[] | undefined = subject.O;
  return { name: [subject.CN].flat().join(','), groups: groups === undefined ? [] : [groups].flat() };
}

/** By a path's first part; whatever is not here is `proxy`. */
const subresourcesOf: Readonly<Record<string, readonly string[]>> = {
  stats: ['stats'],
  metrics: ['metrics'],
  logs: ['log'],
  checkpoint: ['checkpoint'],
  pods: ['pods', 'proxy'],
  runningpods: ['pods', 'proxy'],
  healthz: ['healthz', 'proxy'],
  configz: ['configz', 'proxy'],
};

export function attributesOf(method: string, path: string): KubeletAttributes {
  const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;
  const verb = method in verbs ? verbs[method as keyof typeof verbs] : 'get';
  const first = path.split('/')[1] ?? '';
  return { verb, subresources: Object.hasOwn(subresourcesOf, first) ? (subresourcesOf[first] ?? []) : ['proxy'], path };
}

/** The token of an `Authorization: Bearer` header. */
export function bearerTokenOf(request: IncomingMessage): string | undefined {
  const [scheme, token = ''] = (request.headers.authorization ?? '').split(' ');
  return scheme?.toLowerCase() === 'bearer' && token !== '' ? token : undefined;
}

/** The names that upstream, kubeadm and k8ts give to the API server's client certificate. */
const apiServerNames: ReadonlySet<string> = new Set(['kube-apiserver-kubelet-client', 'kube-apiserver', 'system:kube-apiserver']);

export function apiServerOnly(caller: Caller): boolean {
  return caller.groups.includes('system:masters') || apiServerNames.has(caller.name);
}
