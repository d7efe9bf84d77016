/** The API server's flags about TLS: versions, ciphers, curves, and certificates for other names. Upstream's words become OpenSSL's. */
import { X509Certificate } from 'node:crypto';
import { getCiphers } from 'node:tls';
import type { NamedCertificate, TlsSettings } from '../../apiserver/api-server.ts';
import { ClusterError } from '../config.ts';
import { readPair } from './files.ts';

export interface TlsFlags {
  readonly tlsMinVersion: string;
  readonly tlsCipherSuites?: readonly string[];
  readonly tlsCurvePreferences?: readonly string[];
  /** `cert,key` or `cert,key:name,*.other`. */
  readonly tlsSniCertKey: readonly string[];
}

const versions: Readonly<Record<string, NonNullable<TlsSettings['minVersion']>>> = { VersionTLS12: 'TLSv1.2', VersionTLS13: 'TLSv1.3' };

/** Upstream's names of suites of TLS 1.2, and OpenSSL's. */
const suites: Readonly<Record<string, string>> = {
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
};

/** Those of TLS 1.3 are always on, in Go as here: naming them changes nothing. */
const fixedSuites: readonly string[] = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];

const curves: Readonly<Record<string, string>> = {
  X25519: 'X25519',
  CurveP256: 'prime256v1',
  CurveP384: 'secp384r1',
  CurveP521: 'secp521r1',
  X25519MLKEM768: 'X25519MLKEM768',
};

/** Throws {@link ClusterError} naming flag and reason. */
export function readTls(flags: TlsFlags): TlsSettings {
  const minVersion = versions[flags.tlsMinVersion];
  if (minVersion === undefined) {
    throw new ClusterError(`--tls-min-version ${flags.tlsMinVersion}: there are ${Object.keys(versions).join(' and ')}; older ones are not safe`);
  }
  const { tlsCipherSuites, tlsCurvePreferences } = flags;
  const named = tlsCipherSuites?.filter((name) => !fixedSuites.includes(name)).map((name) => translated('--tls-cipher-suites', name, suites));
  for (const suite of named ?? []) {
    if (!getCiphers().includes(suite.toLowerCase())) throw new ClusterError(`--tls-cipher-suites: this OpenSSL has no ${suite}`);
  }
  return {
    minVersion,
    ...(named && { cipherSuites: named }),
    ...(tlsCurvePreferences && { curves: tlsCurvePreferences.map((name) => translated('--tls-curve-preferences', name, curves)) }),
  };
}

/** The files a flag names. */
export function sniFiles(value: string): string[] {
  return (value.split(':', 1)[0] ?? '').split(',');
}

/** Each flag names a pair, and maybe the names it is for; those in the certificate otherwise. */
export function readSni(values: readonly string[]): NamedCertificate[] {
  const flag = '--tls-sni-cert-key';
  return values.map((value) => {
    const [files = '', names] = value.split(/:(.*)/s, 2);
    const [certificatePath, keyPath, more] = files.split(',');
    if (certificatePath === undefined || certificatePath === '' || keyPath === undefined || keyPath === '' || more !== undefined) {
      throw new ClusterError(`${flag} ${value}: is not certificate,key or certificate,key:name,name`);
    }
    const pair = readPair(flag, certificatePath, flag, keyPath);
    const given = names?.split(',').map((name) => name.trim().toLowerCase());
    return { ...pair, names: given ?? namesOf(pair.certificate) };
  });
}

function namesOf(certificate: string): string[] {
  const { subjectAltName = '' } = new X509Certificate(certificate);
  return [...subjectAltName.matchAll(/DNS:([^,\s"]+)/g)].map(([, name = '']) => name.toLowerCase());
}

function translated(flag: string, name: string, words: Readonly<Record<string, string>>): string {
  const word = Object.hasOwn(words, name) ? words[name] : undefined;
  if (word === undefined) throw new ClusterError(`${flag} ${name}: there are ${Object.keys(words).join(', ')}`);
  return word;
}
