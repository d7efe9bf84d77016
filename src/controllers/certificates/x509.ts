/** Reading PKCS #10 requests and signing certificates for them. Loaded when the first request is there: it is slow to load and many clusters see none. */
// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library looks for it when it is loaded
import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { SigningAuthority } from '../controller.ts';
import type { World } from '../../world/world.ts';
import type { RequestedSubject } from './recognize.ts';

export interface ParsedRequest {
  readonly subject: RequestedSubject;
  readonly request: x509.Pkcs10CertificateRequest;
}

/** Clocks of other machines may be a little behind. */
const backdateMs = 5 * 60_000;

/** Takes `spec.request` (base64 of PEM) apart. Rejects when it is no request, or not signed with the key it shows. */
export async function parseRequest(encoded: string): Promise<ParsedRequest> {
  const request = new x509.Pkcs10CertificateRequest(Buffer.from(encoded, 'base64').toString('latin1'));
  if (!(await request.verify())) throw new Error('the request is not signed with its own key');
  const alternatives = alternativesOf(request)?.names.toJSON() ?? [];
  const ofType = (type: string): string[] => alternatives.filter((name) => name.type === type).map(({ value }) => value);
  return {
    request,
    subject: {
      commonName: request.subjectName.getField('CN')[0] ?? '',
      organizations: request.subjectName.getField('O'),
      dnsNames: ofType('dns'),
      ipAddresses: ofType('ip'),
      emails: ofType('email'),
      uris: ofType('url'),
    },
  };
}

function alternativesOf({ extensions }: x509.Pkcs10CertificateRequest): x509.SubjectAlternativeNameExtension | undefined {
  return extensions.find((extension) => extension instanceof x509.SubjectAlternativeNameExtension);
}

const usageFlags: Readonly<Record<string, x509.KeyUsageFlags>> = {
  signing: x509.KeyUsageFlags.digitalSignature,
  'digital signature': x509.KeyUsageFlags.digitalSignature,
  'content commitment': x509.KeyUsageFlags.nonRepudiation,
  'key encipherment': x509.KeyUsageFlags.keyEncipherment,
  'data encipherment': x509.KeyUsageFlags.dataEncipherment,
  'key agreement': x509.KeyUsageFlags.keyAgreement,
};

const extendedUsages: Readonly<Record<string, string>> = {
  'client auth': x509.ExtendedKeyUsage.clientAuth,
  'server auth': x509.ExtendedKeyUsage.serverAuth,
};

export interface Validity {
  readonly world: World;
  readonly durationMs: number;
}

/** The certificate (PEM) for a request, never valid past its authority. */
export async function sign(
  { request }: ParsedRequest,
  usages: readonly string[],
  authority: SigningAuthority,
  { world, durationMs }: Validity,
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const now = world.clock.now();
  const alternatives = alternativesOf(request);
  const serial = world.random.bytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const { key, algorithm } = await signingKey(authority.key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString('hex'),
    subject: request.subjectName,
    issuer: issuer.subjectName,
    notBefore: new Date(Math.max(now - backdateMs, issuer.notBefore.getTime())),
    notAfter: new Date(Math.min(now + durationMs, issuer.notAfter.getTime())),
    signingAlgorithm: algorithm,
    publicKey: await request.publicKey.export(),
    signingKey: key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(keyUsage(usages), true),
      new x509.ExtendedKeyUsageExtension(usages.flatMap((usage) => extendedUsages[usage] ?? [])),
      await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
      ...(alternatives ? [alternatives] : []),
    ],
  });
  return certificate.toString('pem');
}

function keyUsage(usages: readonly string[]): x509.KeyUsageFlags {
  let flags: number = 0;
  for (const usage of usages) flags |= usageFlags[usage] ?? 0;
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- a set of its flags, as the enumeration is meant
  return flags;
}

/** When the first certificate of base64 PEM ends, in epoch ms; undefined when there is none to read. */
export function certificateEndMs(encoded: string): number | undefined {
  try {
    return new x509.X509Certificate(Buffer.from(encoded, 'base64').toString('latin1')).notAfter.getTime();
  } catch {
    return undefined;
  }
}

async function signingKey(pem: string): Promise<{ key: webcrypto.CryptoKey; algorithm: { name: string; hash: string } }> {
  const secret = createPrivateKey(pem);
  const der = secret.export({ type: 'pkcs8', format: 'der' });
  if (secret.asymmetricKeyType === 'rsa') {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    return { key: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']), algorithm };
  }
  const curves: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };
  const namedCurve = curves[secret.asymmetricKeyDetails?.namedCurve ?? ''];
  if (namedCurve === undefined) throw new Error('the signing key is neither RSA nor of the curves P-256, P-384 and P-521');
  const key = await webcrypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve }, false, ['sign']);
  return { key, algorithm: { name: 'ECDSA', hash: 'SHA-256' } };
}
