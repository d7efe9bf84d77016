/**
 * Who calls the kubelet's server, and whether they may. Callers show a certificate of the cluster's client CA: its common name is the user, its
 * organizations the groups. Each path belongs to a subresource of `nodes`, as upstream's kubelet asks the API server about it; without such an
 * authorizer only the API server itself and `system:masters` may call.
 */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

export interface Caller {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface KubeletAttributes {
  readonly verb: 'get' | 'create' | 'update' | 'patch' | 'delete';
  /** `proxy`, `log`, `metrics`, `stats`, `healthz`, `pods`. */
  readonly subresource: string;
  readonly path: string;
}

export type AuthorizeCaller = (caller: Caller, attributes: KubeletAttributes) => boolean | Promise<boolean>;

/** Undefined when the caller showed no certificate, or one that does not chain to the client CA. */
export function callerOf(request: IncomingMessage): Caller | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject } = socket.getPeerCertificate();
  // Several organizations come as a list, though the types know one only.
  const groups: string | readonly string[] | undefined = subject.O;
  return { name: [subject.CN].flat().join(','), groups: groups === undefined ? [] : [groups].flat() };
}

export function attributesOf(method: string, path: string): KubeletAttributes {
  const verbs = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;
  const verb = method in verbs ? verbs[method as keyof typeof verbs] : 'get';
  const first = path.split('/')[1] ?? '';
  const subresource = { stats: 'stats', metrics: 'metrics', logs: 'log', healthz: 'healthz', pods: 'pods' }[first] ?? 'proxy';
  return { verb, subresource, path };
}

/** The names that upstream, kubeadm and k8ts give to the API server's client certificate. */
const apiServerNames: ReadonlySet<string> = new Set(['kube-apiserver-kubelet-client', 'kube-apiserver', 'system:kube-apiserver']);

export function apiServerOnly(caller: Caller): boolean {
  return caller.groups.includes('system:masters') || apiServerNames.has(caller.name);
}
