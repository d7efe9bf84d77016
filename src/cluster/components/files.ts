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

/** The key service account tokens are signed with; `publicPath`, as upstream wants it beside, must be its other half. */
export function readSigningKey(path: string, publicPath: string | undefined): string {
  const flag = '--service-account-signing-key-file';
  const { text, key } = readPrivateKey(flag, path);
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new ClusterError(`${flag} ${path}: is not an EC P-256 key. Make one: openssl ecparam -genkey -name prime256v1 -noout -out ${path}`);
  }
  if (publicPath === undefined) return text;
  const publicFlag = '--service-account-key-file';
  const publicText = readFlagFile(publicFlag, publicPath);
  // A private key will do, as upstream: its public half counts.
  const publicKey = checked(`${publicFlag} ${publicPath}: holds no PEM key`, () => createPublicKey(publicText));
  if (!publicKey.equals(createPublicKey(key))) {
    throw new ClusterError(`${publicFlag} ${publicPath}: is not the public half of ${path}; keys that only verify are not there yet`);
  }
  return text;
}

function checked<T>(complaint: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new ClusterError(`${complaint} (${error instanceof Error ? error.message : String(error)})`);
  }
}
