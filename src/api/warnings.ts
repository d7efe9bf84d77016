/**
 * What clients are warned of though it is accepted: labels and annotations of old, names that will not do as host names, addresses written in an unusual way.
 * Each is `field: words`, in upstream's words (`pkg/api/{node,persistentvolume,service,…}/warnings.go`).
 */
import { own } from '../machinery/own.ts';
import { at } from '../machinery/field-error.ts';
import { formatCidr, formatIp, networkOf, tryParseCidr, tryParseIp } from '../machinery/ip.ts';
import { dnsLabelErrors } from '../machinery/names.ts';
import { parseQuantity } from '../machinery/quantity.ts';
import type { V1NodeSelectorTerm, V1ObjectMeta, V1PersistentVolumeClaimSpec } from './types.ts';

const formerNodeLabels: Readonly<Record<string, { readonly since: string; readonly now: string } | undefined>> = {
  'beta.kubernetes.io/arch': { since: 'v1.14', now: 'kubernetes.io/arch' },
  'beta.kubernetes.io/os': { since: 'v1.14', now: 'kubernetes.io/os' },
  'failure-domain.beta.kubernetes.io/region': { since: 'v1.17', now: 'topology.kubernetes.io/region' },
  'failure-domain.beta.kubernetes.io/zone': { since: 'v1.17', now: 'topology.kubernetes.io/zone' },
  'beta.kubernetes.io/instance-type': { since: 'v1.17', now: 'node.kubernetes.io/instance-type' },
};

function formerLabel(key: string): string | undefined {
  const former = own(formerNodeLabels, key);
  return former && `deprecated since ${former.since}; use "${former.now}" instead`;
}

/** Labels of nodes as keys of a map. */
export function nodeLabelKeys(field: string, labels: Readonly<Record<string, string>> | undefined): string[] {
  return Object.keys(labels ?? {}).flatMap((key) => {
    const why = formerLabel(key);
    return why === undefined ? [] : [`${at(field, key)}: ${why}`];
  });
}

/** A node's label as a value. */
export function nodeLabel(field: string, key: string): string[] {
  const why = formerLabel(key);
  return why === undefined ? [] : [`${field}: ${key} is ${why}`];
}

export function nodeSelectorTerm(field: string, { matchExpressions = [] }: V1NodeSelectorTerm): string[] {
  return matchExpressions.flatMap(({ key }, index) => nodeLabel(`${at(`${field}.matchExpressions`, index)}.key`, key));
}

/** Annotations that a field has taken the place of, or nothing reads any more. */
export function formerAnnotations(
  field: string,
  metadata: Pick<V1ObjectMeta, 'annotations'> | undefined,
  former: Readonly<Record<string, string>>,
): string[] {
  const annotations = metadata?.annotations ?? {};
  return Object.entries(former).flatMap(([key, why]) => (Object.hasOwn(annotations, key) ? [`${at(field, key)}: ${why}`] : []));
}

/** Pods and what makes pods are named so that a pod can have the name for its host. */
export function hostName(name: string, use: string): string[] {
  const wrong = dnsLabelErrors(name);
  if (wrong.length === 0) return [];
  return [`metadata.name: this is used in ${use}, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`];
}

export const inPodNames = 'Pod names and hostnames';

/** Parts of a byte that somebody asks for. */
export function wholeBytes(field: string, amount: string | undefined): string[] {
  if (amount === undefined || parseQuantity(amount).isInteger()) return [];
  return [`${field}: fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`];
}

export function claimSpec(field: string, spec: V1PersistentVolumeClaimSpec | undefined): string[] {
  return wholeBytes(`${field}.resources.requests[storage]`, spec?.resources?.requests?.['storage']);
}

export const storageClassAnnotation: Readonly<Record<string, string>> = {
  'volume.beta.kubernetes.io/storage-class': 'deprecated since v1.8; use "storageClassName" attribute instead',
};

export function address(field: string, text: string | undefined): string[] {
  const parsed = tryParseIp(text ?? '');
  if (text === undefined || parsed?.family !== 6 || formatIp(parsed) === text) return [];
  return [`${field}: IPv6 address ${JSON.stringify(text)} should be in RFC 5952 canonical format (${JSON.stringify(formatIp(parsed))})`];
}

export function addressRange(field: string, text: string): string[] {
  const parsed = tryParseCidr(text);
  if (parsed === undefined) return [];
  const network = formatCidr(networkOf(parsed));
  const one = `${formatIp(parsed.address)}/${parsed.address.family === 4 ? 32 : 128}`;
  if (formatCidr(parsed) !== network)
    return [
      `${field}: CIDR value ${JSON.stringify(text)} is ambiguous in this context (should be ${JSON.stringify(network)} or ${JSON.stringify(one)}?)`,
    ];
  if (parsed.address.family === 4 || network === text) return [];
  return [`${field}: IPv6 CIDR value ${JSON.stringify(text)} should be in RFC 5952 canonical format (${JSON.stringify(network)})`];
}

/** Kinds of storage that no longer work, or soon will not. */
const formerVolumes: Readonly<Record<string, string>> = {
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
};

export function volumeSource(field: string, source: object): string[] {
  return Object.keys(source).flatMap((name) => {
    const why = own(formerVolumes, name);
    // Upstream writes this one otherwise than the field is called.
    return why === undefined ? [] : [`${field}.${name === 'storageos' ? 'storageOS' : name}: ${why}`];
  });
}
