/** PKCS #10: a new key (EC P-256) and a request to have it certified, as a kubelet makes them. */
// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library looks for it when it is loaded
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export interface RequestedIdentity {
  /** A user's name on client certificates. */
  readonly commonName: string;
  /** A user's groups on client certificates. */
  readonly organizations: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export interface MadeRequest {
  /** PEM. */
  readonly request: string;
  /** PEM, PKCS #8; it never leaves the machine. */
  readonly key: string;
}

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;

export async function makeCertificateRequest(identity: RequestedIdentity): Promise<MadeRequest> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const alternatives: x509.JsonGeneralNames = [
    ...(identity.dnsNames ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(identity.ipAddresses ?? []).map((value) => ({ type: 'ip', value }) as const),
  ];
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    // As text, not as a pattern: the library would read quotes and a leading `#` as escapes.
    name: new x509.Name([
      ...identity.organizations.map((organization) => ({ O: [{ utf8String: organization }] })),
      { CN: [{ utf8String: identity.commonName }] },
    ]),
    keys,
    signingAlgorithm,
    extensions: alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)],
  });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), x509.PemConverter.PrivateKeyTag);
  return { request: request.toString('pem'), key };
}
