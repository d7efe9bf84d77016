/**
 * Creation of the cluster's certificates: authorities and the leaf certificates they issue, all EC P-256. Nothing here touches files; who calls
 * decides where the PEM goes. See https://kubernetes.io/docs/setup/best-practices/certificates/
 */
// oxlint-disable-next-line import/no-unassigned-import -- the X.509 library looks for it when it is loaded
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { World } from '../world/world.ts';

export interface CertificatePair {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export type CertificateUsage = 'client' | 'server';

export interface CertificateRequest {
  readonly ca: CertificatePair;
  /** A user's name on client certificates. */
  readonly commonName: string;
  /** A user's groups on client certificates. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usages: readonly CertificateUsage[];
  /** 365 when absent, as kubeadm has it; never past the authority's own end. */
  readonly days?: number;
}

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60 * 1000;
/** Clocks of other machines may be a little behind. */
const backdateMs = 5 * 60 * 1000;
const authorityDays = 3650;

const usageIdentifiers: Readonly<Record<CertificateUsage, string>> = {
  client: x509.ExtendedKeyUsage.clientAuth,
  server: x509.ExtendedKeyUsage.serverAuth,
};

/** A self-signed authority, valid for ten years. */
export async function createCertificateAuthority(world: World, name: string): Promise<CertificatePair> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const now = world.clock.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(world),
    name: new x509.Name([{ CN: [name] }]),
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(now + authorityDays * dayMs),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** A leaf certificate with a new key of its own. */
export async function issueCertificate(world: World, request: CertificateRequest): Promise<CertificatePair> {
  const authority = new x509.X509Certificate(request.ca.certificate);
  const authorityKey = await importKey(request.ca.key);
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  const now = world.clock.now();
  const notAfter = Math.min(now + (request.days ?? 365) * dayMs, authority.notAfter.getTime());
  const alternatives: x509.JsonGeneralNames = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip', value }) as const),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(world),
    subject: new x509.Name([
      ...(request.organizations ?? []).map((organization) => ({ O: [asItIs(organization)] })),
      { CN: [asItIs(request.commonName)] },
    ]),
    issuer: authority.subjectName,
    notBefore: new Date(Math.max(now - backdateMs, authority.notBefore.getTime())),
    notAfter: new Date(notAfter),
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey: authorityKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension(request.usages.map((usage) => usageIdentifiers[usage])),
      await x509.AuthorityKeyIdentifierExtension.create(await authority.publicKey.export()),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
    ],
  });
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** Without this, quotes, backslashes and a leading `#` would be read as escapes. */
function asItIs(value: string): { utf8String: string } {
  return { utf8String: value };
}

/** A P-256 private key alone (PEM, PKCS #8), as service account tokens are signed with. */
export async function createSigningKey(): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
  return exportKey(keys.privateKey);
}

/** Positive and 16 bytes long, as hexadecimal digits. */
function serialNumber(world: World): string {
  const bytes = world.random.bytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), x509.PemConverter.PrivateKeyTag);
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new Error('the certificate authority has no private key');
  return webcrypto.subtle.importKey('pkcs8', der, keyAlgorithm, false, ['sign']);
}
