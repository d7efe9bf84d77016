/** The downward API: what a container may know of its own pod, as text. See https://kubernetes.io/docs/concepts/workloads/pods/downward-api/ */
import type { Pod } from '../api/kinds.ts';
import type { V1Container } from '../api/types.ts';
import { type Quantity, parseQuantity } from '../machinery/quantity.ts';
import { containerOf } from './pod-spec.ts';
import { ConfigError } from './start-error.ts';

/** Addresses that are not in the API's copy of the pod yet when its first container starts. */
export interface PodAddresses {
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
}

export function fieldValue(pod: Pod, path: string, addresses: PodAddresses): string {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (subscript) return pod.metadata[subscript[1] === 'labels' ? 'labels' : 'annotations']?.[subscript[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return mapText(pod.metadata.labels);
    case 'metadata.annotations':
      return mapText(pod.metadata.annotations);
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
      return addresses.hostIps[0] ?? '';
    case 'status.hostIPs':
      return addresses.hostIps.join(',');
    case 'status.podIP':
      return addresses.podIps[0] ?? '';
    case 'status.podIPs':
      return addresses.podIps.join(',');
    default:
      throw new ConfigError(`unsupported fieldPath: ${path}`);
  }
}

/** One `key="value"` a line, sorted by key. */
function mapText(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** What a container without a limit may use at most: the node's allocatable resources. */
export type Allocatable = Readonly<Record<string, string>>;

export function resourceValue(
  pod: Pod,
  container: V1Container,
  reference: { containerName?: string; resource: string; divisor?: string },
  allocatable: Allocatable,
): string {
  const source =
    reference.containerName === undefined || reference.containerName === '' ? container : containerOf(pod, reference.containerName)?.spec;
  if (!source) throw new ConfigError(`container ${reference.containerName} not found`);
  const [list, name = ''] = splitOnce(reference.resource, '.');
  const limit = source.resources?.limits?.[name];
  const request = source.resources?.requests?.[name];
  let text: string | undefined;
  if (list === 'limits') text = limit ?? allocatable[name];
  else if (list === 'requests') text = request ?? limit ?? '0';
  else throw new ConfigError(`unsupported container resource : ${reference.resource}`);
  const divisor =
    reference.divisor === undefined || parseQuantity(reference.divisor).isZero() ? parseQuantity('1') : parseQuantity(reference.divisor);
  const quantity = parseQuantity(text ?? '0');
  return String(name === 'cpu' ? divide(quantity.milliValue(), divisor.milliValue()) : divide(whole(quantity), whole(divisor)));
}

function whole(quantity: Quantity): number {
  return quantity.value();
}

function divide(amount: number, by: number): number {
  return Math.ceil(amount / by);
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
