/**
 * Two kinds of certificates that upstream leaves to a human or an add-on, and that a node needs before it is whole: the one its kubelet serves with, and
 * those of the components it runs beside the kubelet. Each is approved only for who holds a right of its own (`selfnodeserving`, `nodecomponent`), so that
 * taking the binding away brings the human back.
 */
import type { CertificateSigningRequest, Node } from '../../api/kinds.ts';
import { clientSigner, kubeletServingSigner, refusalOf, type RequestedSubject } from './recognize.ts';

export interface NodeApproval {
  readonly subresource: 'selfnodeserving' | 'nodecomponent';
  readonly message: string;
}

const nodePrefix = 'system:node:';
const nodesGroup = 'system:nodes';

const accounts = ['coredns', 'k8ts-ingress', 'storage-provisioner'];

/** Identities that every node has, whatever pods it runs: the proxy's, the DNS server's, the ingress controller's and the storage provisioner's. */
const components: readonly { readonly commonName: string; readonly organizations: readonly string[] }[] = [
  { commonName: 'system:kube-proxy', organizations: ['system:node-proxier'] },
  ...accounts.map((name) => ({
    commonName: `system:serviceaccount:kube-system:${name}`,
    organizations: ['system:serviceaccounts', 'system:serviceaccounts:kube-system'],
  })),
];

/** The name of the node that asks; undefined when nobody's kubelet does. */
export function askingNode({ spec }: CertificateSigningRequest): string | undefined {
  const { username = '', groups = [] } = spec;
  return username.startsWith(nodePrefix) && groups.includes(nodesGroup) ? username.slice(nodePrefix.length) : undefined;
}

/** Whether the decision needs the Node objects. */
export function needsNodes({ spec }: CertificateSigningRequest): boolean {
  return spec.signerName === kubeletServingSigner;
}

/** How the request could be approved without a human; undefined when it could not. */
export function nodeApproval(request: CertificateSigningRequest, subject: RequestedSubject, nodes: readonly Node[]): NodeApproval | undefined {
  const { spec } = request;
  const nodeName = askingNode(request);
  if (nodeName === undefined || refusalOf(spec.signerName, subject, spec.usages ?? []) !== undefined) return undefined;
  if (spec.signerName === kubeletServingSigner) {
    return servesItself(subject, nodeName, nodes)
      ? { subresource: 'selfnodeserving', message: "Auto approving kubelet serving certificate for the node's own names and addresses." }
      : undefined;
  }
  return spec.signerName === clientSigner && isComponent(subject)
    ? { subresource: 'nodecomponent', message: 'Auto approving client certificate of a component that every node runs.' }
    : undefined;
}

/** Names and addresses are those of the Node that asks, and no other Node's. */
function servesItself(subject: RequestedSubject, nodeName: string, nodes: readonly Node[]): boolean {
  if (subject.commonName !== nodePrefix + nodeName) return false;
  const addressesOf = (node: Node | undefined): string[] => (node?.status.addresses ?? []).map(({ address }) => address);
  const own = new Set([nodeName, ...addressesOf(nodes.find(({ metadata }) => metadata.name === nodeName))]);
  const others = new Set(nodes.filter(({ metadata }) => metadata.name !== nodeName).flatMap((node) => [node.metadata.name, ...addressesOf(node)]));
  return [...subject.dnsNames, ...subject.ipAddresses].every((name) => own.has(name) && !others.has(name));
}

function isComponent(subject: RequestedSubject): boolean {
  if (subject.dnsNames.length + subject.ipAddresses.length + subject.emails.length + subject.uris.length > 0) return false;
  return components.some(
    ({ commonName, organizations }) =>
      commonName === subject.commonName &&
      organizations.length === subject.organizations.length &&
      organizations.every((organization) => subject.organizations.includes(organization)),
  );
}
