/** CertificateSigningRequest (certificates.k8s.io/v1): asks a signer for a certificate. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { humanDuration } from '../../machinery/duration.ts';
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { noDuplicates, oneOf, requiredOneOf } from '../field-checks.ts';
import { defineKind, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type {
  V1CertificateSigningRequest,
  V1CertificateSigningRequestCondition,
  V1CertificateSigningRequestSpec,
  V1CertificateSigningRequestStatus,
} from '../types.ts';

export type CertificateSigningRequest = V1CertificateSigningRequest;

export const CertificateSigningRequest: Kind<V1CertificateSigningRequest> = defineKind<V1CertificateSigningRequest>({
  group: 'certificates.k8s.io',
  kind: 'CertificateSigningRequest',
  resource: 'certificatesigningrequests',
  model: 'V1CertificateSigningRequest',
  shortNames: ['csr'],
  namespaced: false,
  subresources: { approval: { verbs: ['get', 'patch', 'update'] }, status: statusSubresource },
  prepareForUpdate(request, old) {
    request.spec = old.spec;
  },
  validate: ({ spec }, old) => (old === undefined ? validateSpec('spec', spec) : []),
  validateStatus: ({ status }, old) => [...validateConditions('status.conditions', status.conditions ?? []), ...validateIssued(status, old.status)],
  selectableFields: { 'spec.signerName': ({ spec }) => spec.signerName },
  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', 'Who is asked to sign.', ({ spec }) => spec.signerName || '<none>'),
    column('Requestor', 'Who asks.', ({ spec }) => spec.username ?? ''),
    column('RequestedDuration', 'How long the certificate should hold.', ({ spec }) =>
      spec.expirationSeconds === undefined ? '<none>' : humanDuration(spec.expirationSeconds * 1000),
    ),
    column('Condition', 'What was decided, and whether the certificate is there.', ({ status }) => conditionText(status)),
  ],
});

function conditionText({ conditions = [], certificate }: V1CertificateSigningRequestStatus): string {
  const has = (type: string): boolean => conditions.some((condition) => condition.type === type);
  const words: string[] = [];
  if (has('Denied')) words.push('Denied');
  else words.push(has('Approved') ? 'Approved' : 'Pending');
  if (has('Failed')) words.push('Failed');
  if ((certificate ?? '') !== '') words.push('Issued');
  return words.join(',');
}

const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

function validateConditions(field: string, conditions: readonly V1CertificateSigningRequestCondition[]): FieldError[] {
  const errors = noDuplicates(field, conditions, ({ type }) => type, '.type');
  for (const [index, { type, status }] of conditions.entries()) {
    const path = at(field, index);
    if (type === '') errors.push(required(`${path}.type`));
    errors.push(...requiredOneOf(`${path}.status`, status, ['False', 'True', 'Unknown']));
    if (['Approved', 'Denied', 'Failed'].includes(type) && status !== 'True') errors.push(notSupported(`${path}.status`, status, ['True']));
  }
  const types = conditions.map(({ type }) => type);
  const later = Math.max(types.indexOf('Approved'), types.indexOf('Denied'));
  if (types.includes('Approved') && types.includes('Denied'))
    errors.push(invalidValue(`${at(field, later)}.type`, types[later], 'Approved and Denied conditions are mutually exclusive'));
  return errors;
}

const lasting = ['Approved', 'Denied', 'Failed'];

/** What was decided stays decided, and what was issued stays as it is. */
function validateIssued(status: V1CertificateSigningRequestStatus, old: V1CertificateSigningRequestStatus): FieldError[] {
  const errors: FieldError[] = [];
  const has = ({ conditions = [] }: V1CertificateSigningRequestStatus, wanted: string): boolean => conditions.some(({ type }) => type === wanted);
  for (const type of lasting) {
    if (has(old, type) && !has(status, type))
      errors.push(forbiddenField('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`));
  }
  const [certificate, before] = [status.certificate ?? '', old.certificate ?? ''];
  if (certificate === before) return errors;
  if (before !== '') errors.push(forbiddenField('status.certificate', 'updates may not modify existing certificate content'));
  const pem = Buffer.from(certificate, 'base64').toString();
  const blocks = pem.match(/-----BEGIN [A-Z ]+-----[\s\S]*?-----END [A-Z ]+-----/g) ?? [];
  if (blocks.length === 0) errors.push(invalidValue('status.certificate', '<certificate data>', 'must contain at least one CERTIFICATE PEM block'));
  if (blocks.some((block) => !block.startsWith('-----BEGIN CERTIFICATE-----')))
    errors.push(invalidValue('status.certificate', '<certificate data>', 'only CERTIFICATE PEM blocks are allowed'));
  return errors;
}

const legacySigner = 'kubernetes.io/legacy-unknown';

function validateSpec(field: string, spec: V1CertificateSigningRequestSpec): FieldError[] {
  const errors: FieldError[] = [];
  const pem = Buffer.from(spec.request, 'base64').toString();
  if (!pem.includes('-----BEGIN CERTIFICATE REQUEST-----'))
    errors.push(invalidValue(`${field}.request`, spec.request, 'PEM block type must be CERTIFICATE REQUEST'));
  if ((spec.usages ?? []).length === 0) errors.push(required(`${field}.usages`, 'usages is required'));
  if (spec.signerName === legacySigner)
    errors.push(invalidValue(`${field}.signerName`, spec.signerName, 'the legacy signerName is not allowed via this API version'));
  errors.push(...noDuplicates(`${field}.usages`, spec.usages));
  for (const [index, usage] of (spec.usages ?? []).entries()) errors.push(...oneOf(at(`${field}.usages`, index), usage, usages));
  if (spec.signerName === '') errors.push(required(`${field}.signerName`));
  else if (!/^[^/]+\.[^/]+\/.+$/.test(spec.signerName)) {
    errors.push(
      invalidValue(`${field}.signerName`, spec.signerName, "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
    );
  }
  if (spec.expirationSeconds !== undefined && spec.expirationSeconds < 600) {
    errors.push(invalidValue(`${field}.expirationSeconds`, spec.expirationSeconds, 'may not specify a duration less than 600 seconds (10 minutes)'));
  }
  return errors;
}
