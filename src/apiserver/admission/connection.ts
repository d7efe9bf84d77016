/** Connections (exec, attach, port-forward, proxies) as admission sees them: an operation of its own, whose object are the options asked for. */
import type { Kind } from '../../api/kind.ts';
import type { ResourceTarget, User } from '../request.ts';
import type { AdmissionRequest } from './admission.ts';

export interface ConnectionCall {
  readonly target: ResourceTarget;
  readonly user: User;
  readonly query: URLSearchParams;
  readonly annotate?: ((key: string, value: string) => void) | undefined;
}

export function connectionRequest(kind: Kind, { target, user, query, annotate }: ConnectionCall): AdmissionRequest {
  return {
    operation: 'CONNECT',
    kind,
    resource: kind,
    subresource: target.subresource ?? '',
    namespace: kind.namespaced ? target.namespace : undefined,
    name: target.name ?? '',
    user,
    dryRun: false,
    object: undefined,
    oldObject: undefined,
    connection: optionsOf(kind, target, query),
    // Nobody reads headers of a stream.
    warnings: [],
    annotate,
  };
}

function optionsOf(kind: Kind, { subresource, rest }: ResourceTarget, query: URLSearchParams): Readonly<Record<string, unknown>> {
  const apiVersion = 'v1';
  switch (subresource) {
    case 'exec':
      return { kind: 'PodExecOptions', apiVersion, ...streamsOf(query), command: query.getAll('command') };
    case 'attach':
      return { kind: 'PodAttachOptions', apiVersion, ...streamsOf(query) };
    case 'portforward': {
      const ports = query.getAll('ports').flatMap((text) => text.split(',').map(Number));
      return { kind: 'PodPortForwardOptions', apiVersion, ...(ports.length > 0 && { ports }) };
    }
    default:
      return { kind: `${kind.kind}ProxyOptions`, apiVersion, ...(rest !== '' && { path: rest }) };
  }
}

function streamsOf(query: URLSearchParams): object {
  const isOn = (name: string): boolean => query.has(name) && query.get(name) !== 'false' && query.get(name) !== '0';
  const container = query.get('container') ?? '';
  return {
    ...(isOn('stdin') && { stdin: true }),
    ...(isOn('stdout') && { stdout: true }),
    ...(isOn('stderr') && { stderr: true }),
    ...(isOn('tty') && { tty: true }),
    ...(container !== '' && { container }),
  };
}
