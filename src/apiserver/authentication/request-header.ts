/**
 * A proxy in front that has authenticated the user already, and says so in headers. Believed only over a connection with a certificate of the front
 * proxy's own authority. See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
 */
import { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { User } from '../request.ts';
import { withAuthenticatedGroup } from './users.ts';

export interface RequestHeaderOptions {
  /** PEM; not the authority of ordinary clients. */
  readonly clientCa: string;
  /** Common names of proxies; any when empty. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeaderPrefixes: readonly string[];
}

const forClients = '1.3.6.1.5.5.7.3.2';
const longestChain = 5;

export class RequestHeaders {
  private readonly options: RequestHeaderOptions;
  private readonly authorities: readonly X509Certificate[];
  /** Until when a connection's certificate is a proxy's: it does not change. */
  private readonly proxies = new WeakMap<TLSSocket, number>();

  constructor(options: RequestHeaderOptions) {
    const lower = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());
    this.options = {
      ...options,
      usernameHeaders: lower(options.usernameHeaders),
      uidHeaders: lower(options.uidHeaders),
      groupHeaders: lower(options.groupHeaders),
      extraHeaderPrefixes: lower(options.extraHeaderPrefixes),
    };
    this.authorities = certificatesOf(options.clientCa);
  }

  /** The user a trusted proxy names; undefined for anyone else, and for a proxy that names nobody. */
  authenticate(socket: TLSSocket, headers: IncomingHttpHeaders, rawHeaders: readonly string[], nowMs: number): User | undefined {
    const name = first(headers, this.options.usernameHeaders);
    if (name === undefined || nowMs > this.proxyUntil(socket, nowMs)) return undefined;
    const groups: string[] = [];
    const extra: Record<string, string[]> = {};
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const header = (rawHeaders[i] ?? '').toLowerCase();
      const value = rawHeaders[i + 1] ?? '';
      if (this.options.groupHeaders.includes(header)) groups.push(value);
      const prefix = this.options.extraHeaderPrefixes.find((candidate) => header.startsWith(candidate));
      if (prefix !== undefined) (extra[unescaped(header.slice(prefix.length))] ??= []).push(value);
    }
    return withAuthenticatedGroup({ name, uid: first(headers, this.options.uidHeaders) ?? '', groups, extra });
  }

  private proxyUntil(socket: TLSSocket, nowMs: number): number {
    let until = this.proxies.get(socket);
    if (until === undefined) {
      until = this.validUntil(socket.getPeerX509Certificate(), nowMs);
      this.proxies.set(socket, until);
    }
    return until;
  }

  private validUntil(certificate: X509Certificate | undefined, nowMs: number): number {
    if (certificate === undefined || !(certificate.keyUsage ?? [forClients]).includes(forClients)) return -Infinity;
    const { allowedNames } = this.options;
    const { CN } = certificate.toLegacyObject().subject;
    const name = (Array.isArray(CN) ? CN[0] : CN) ?? '';
    if (allowedNames.length > 0 && !allowedNames.includes(name)) return -Infinity;
    let until = Infinity;
    let link: X509Certificate | undefined = certificate;
    for (let depth = 0; link !== undefined && depth < longestChain; depth++) {
      if (link.validFromDate.getTime() > nowMs) return -Infinity;
      until = Math.min(until, link.validToDate.getTime());
      const child: X509Certificate = link;
      if (this.authorities.some((authority) => isIssuedBy(child, authority))) return until;
      const issuer: X509Certificate | undefined = link.issuerCertificate;
      link = issuer !== undefined && issuer.ca && isIssuedBy(child, issuer) ? issuer : undefined;
    }
    return -Infinity;
  }
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map((block) => new X509Certificate(block));
}

function first(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers[name];
    const text = Array.isArray(value) ? value[0] : value;
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
