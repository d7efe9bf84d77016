/**
 * What certificate requests of kubelets look like, and what the built-in signers insist on: pure functions over the parsed request. See
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers
 */
import type { CertificateSigningRequest } from '../../api/kinds.ts';

/** What a PKCS #10 request asks to have certified. */
export interface RequestedSubject {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emails: readonly string[];
  readonly uris: readonly string[];
}

export const kubeletClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving';
export const clientSigner = 'kubernetes.io/kube-apiserver-client';

const nodesGroup = 'system:nodes';
const nodePrefix = 'system:node:';

/** Why a signer does not sign the request as it is; undefined when it does. */
export function refusalOf(signerName: string, subject: RequestedSubject, usages: readonly string[]): string | undefined {
  switch (signerName) {
    case kubeletClientSigner:
      return kubeletClientFault(subject, usages);
    case kubeletServingSigner:
      return kubeletServingFault(subject, usages);
    case clientSigner:
      return usageFault(usages, ['client auth'], ['digital signature', 'key encipherment', 'client auth']);
    default:
      return `the signer ${signerName} is not one of this cluster's`;
  }
}

export function kubeletClientFault(subject: RequestedSubject, usages: readonly string[]): string | undefined {
  return (
    nodeFault(subject) ??
    (subject.dnsNames.length > 0 ? 'DNS subjectAltNames are not allowed' : undefined) ??
    (subject.ipAddresses.length > 0 ? 'IP subjectAltNames are not allowed' : undefined) ??
    usageFault(usages, ['digital signature', 'client auth'], ['digital signature', 'key encipherment', 'client auth'])
  );
}

function kubeletServingFault(subject: RequestedSubject, usages: readonly string[]): string | undefined {
  return (
    nodeFault(subject) ??
    (subject.dnsNames.length + subject.ipAddresses.length === 0 ? 'at least one DNS or IP subjectAltName is required' : undefined) ??
    usageFault(usages, ['digital signature', 'server auth'], ['digital signature', 'key encipherment', 'server auth'])
  );
}

function nodeFault({ commonName, organizations, emails, uris }: RequestedSubject): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== nodesGroup) return `subject organization is not ${nodesGroup}`;
  if (!commonName.startsWith(nodePrefix)) return `subject common name does not begin with ${nodePrefix}`;
  if (emails.length > 0) return 'email subjectAltNames are not allowed';
  return uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined;
}

function usageFault(usages: readonly string[], needed: readonly string[], allowed: readonly string[]): string | undefined {
  const missing = needed.find((usage) => !usages.includes(usage));
  const extra = usages.find((usage) => !allowed.includes(usage));
  if (missing === undefined && extra === undefined) return undefined;
  return `usages did not match: ${missing === undefined ? `${extra} is not allowed` : `${missing} is required`}`;
}

/** A way to have a kubelet's client certificate approved without a human: the right that is asked for, and what is said then. */
export interface AutoApproval {
  readonly subresource: 'selfnodeclient' | 'nodeclient';
  readonly message: string;
}

/** The ways that fit a request, the narrower first; none when a human must decide. */
export function autoApprovals({ spec }: CertificateSigningRequest, subject: RequestedSubject): readonly AutoApproval[] {
  if (spec.signerName !== kubeletClientSigner || kubeletClientFault(subject, spec.usages ?? []) !== undefined) return [];
  const anyNode: AutoApproval = { subresource: 'nodeclient', message: 'Auto approving kubelet client certificate after SubjectAccessReview.' };
  if (spec.username !== subject.commonName) return [anyNode];
  return [{ subresource: 'selfnodeclient', message: 'Auto approving self kubelet client certificate after SubjectAccessReview.' }, anyNode];
}

export function isDecided({ status }: Pick<CertificateSigningRequest, 'status'>): boolean {
  return hasCondition(status, 'Approved') || hasCondition(status, 'Denied');
}

export function isIssued({ status }: CertificateSigningRequest): boolean {
  return (status.certificate ?? '') !== '';
}

export function hasCondition({ conditions = [] }: CertificateSigningRequest['status'], wanted: string): boolean {
  return conditions.some(({ type }) => type === wanted);
}
