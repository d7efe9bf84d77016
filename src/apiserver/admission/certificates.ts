/**
 * CertificateApproval, CertificateSigning, CertificateSubjectRestriction: besides writing to a request, who approves or signs it needs that right for the
 * signer it names; and nobody gets a superuser's certificate from the API server's client signer.
 */
import { CertificateSigningRequest } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { forbidden } from '../../machinery/errors.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly, isWriteOf } from './admission.ts';
import { organizationsOf } from './certificate-subject.ts';
import { type AuthorizerSource, may } from './permission.ts';

const superusers = 'system:masters';
const concerns = concernsOnly(CertificateSigningRequest);

export function certificateApproval(authorizer: AuthorizerSource): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    concerns,
    validate(request) {
      if (request.operation === 'UPDATE' && request.subresource === 'approval') return requireSignerVerb(authorizer, request, 'approve');
      return undefined;
    },
  };
}

export function certificateSigning(authorizer: AuthorizerSource): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    concerns,
    validate(request) {
      if (request.operation !== 'UPDATE' || request.subresource !== 'status') return undefined;
      const [now, before] = [request.object, request.oldObject].map((object) => (object as CertificateSigningRequest | undefined)?.status);
      if (equal(now?.certificate, before?.certificate) && equal(now?.conditions, before?.conditions)) return undefined;
      return requireSignerVerb(authorizer, request, 'sign');
    },
  };
}

export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  concerns,
  validate(request) {
    if (!isWriteOf(request, CertificateSigningRequest, 'CREATE')) return;
    const spec = (request.object as CertificateSigningRequest | undefined)?.spec;
    if (spec?.signerName !== 'kubernetes.io/kube-apiserver-client' || !organizationsOf(spec.request).includes(superusers)) return;
    throw forbidden(request.resource, request.name, `use of ${spec.signerName} signer with ${superusers} group is not allowed`);
  },
};

/** The right may be given for one signer, or for all of its domain. */
async function requireSignerVerb(authorizer: AuthorizerSource, request: AdmissionRequest, verb: 'approve' | 'sign'): Promise<void> {
  const signerName = (request.oldObject as CertificateSigningRequest | undefined)?.spec.signerName ?? '';
  const permission = { verb, group: 'certificates.k8s.io', resource: 'signers' };
  const names = [signerName, `${signerName.split('/')[0] ?? ''}/*`];
  for (const name of names) if (await may(authorizer, request.user, { ...permission, name })) return;
  throw forbidden(request.resource, request.name, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signerName)}`);
}
