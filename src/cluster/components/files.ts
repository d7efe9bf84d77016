/** Files that flags name, read and checked at the door: what is wrong with one is said with its name, not found out during a handshake. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CertificatePair } from '../../kubeadm/certificates.ts';
import { ClusterError } from '../config.ts';

/** Throws {@link ClusterError} naming flag, file and reason. */
export function readFlagFile(flag: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new ClusterError(`${flag} ${path}: ${missing ? 'there is no such file' : `cannot be read: ${String(error)}`}`);
  }
}

/** One or more PEM certificates. */
export function readCertificates(flag: string, path: string): string {
  const text = readFlagFile(flag, path);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new ClusterError(`${flag} ${path}: holds no PEM certificate`);
  for (const block of blocks) checked(`${flag} ${path}: holds a damaged certificate`, () => new X509Certificate(block));
  return text;
}

export function readPrivateKey(flag: string, path: string): { readonly text: string; readonly key: KeyObject } {
  const text = readFlagFile(flag, path);
  return { text, key: checked(`${flag} ${path}: holds no PEM private key`, () => createPrivateKey(text)) };
}

/** A certificate (the first of its file) and the key that goes with it. */
export function readPair(certificateFlag: string, certificatePath: string, keyFlag: string, keyPath: string): CertificatePair {
  const certificate = readCertificates(certificateFlag, certificatePath);
  const { text, key } = readPrivateKey(keyFlag, keyPath);
  if (!new X509Certificate(certificate).checkPrivateKey(key)) {
    throw new ClusterError(`${keyFlag} ${keyPath}: is not the key of the certificate in ${certificatePath}`);
  }
  return { certificate, key: text };
}

const signingCurves = ['prime256v1', 'secp384r1', 'secp521r1'];
const shortestRsaBits = 2048;

/** The key service account tokens are signed with. */
export function readSigningKey(path: string, flag = '--service-account-signing-key-file'): string {
  const { text, key } = readPrivateKey(flag, path);
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (!signingCurves.includes(namedCurve) && !(key.asymmetricKeyType === 'rsa' && modulusLength >= shortestRsaBits)) {
    throw new ClusterError(
      `${flag} ${path}: is neither an RSA key of 2048 bits or more nor an EC key. Make one: openssl ecparam -genkey -name prime256v1 -noout -out ${path}`,
    );
  }
  return text;
}

/** Keys whose service account tokens are good: one or more public keys a file; private keys and certificates will do, as upstream. */
export function readVerificationKeys(paths: readonly string[]): string[] {
  const flag = '--service-account-key-file';
  return paths.flatMap((path) => {
    const blocks = readFlagFile(flag, path).match(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----/g) ?? [];
    const keys = blocks.filter((block) => !block.includes('EC PARAMETERS'));
    if (keys.length === 0) throw new ClusterError(`${flag} ${path}: holds no PEM key`);
    return keys.map((block) => checked(`${flag} ${path}: holds no PEM key`, () => createPublicKey(block).export({ type: 'spki', format: 'pem' })));
  });
}

function checked<T>(complaint: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ClusterError(`${complaint} (${error instanceof Error ? error.message : String(error)})`);
  }
}
