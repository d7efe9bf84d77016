/**
 * How a new node finds out whom to trust: it reads `cluster-info`, which anybody may, over a connection it cannot check yet; the token's signature tells
 * that the cluster knows the token, and the hash of the authority's public key that no other holder of the token made it up. kubeadm's token discovery; see
 * https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-join/#token-based-discovery-with-ca-pinning
 */
import { createHash, createHmac, timingSafeEqual, X509Certificate } from 'node:crypto';
import { parse } from 'yaml';
import { ConfigMap } from '../api/kinds.ts';
import { httpTransport } from '../client/http.ts';
import { createClient } from '../client/typed-client.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import type { BootstrapToken } from './bootstrap-token.ts';

export interface DiscoveryOptions {
  readonly world: World;
  /** `https://10.0.0.1:6443`. */
  readonly server: string;
  readonly token: BootstrapToken;
  /** `sha256:<hex>`, one of which the authority must have. None: the token alone is believed. */
  readonly caHashes: readonly string[];
  /** How long to wait for a server that does not answer; a minute when absent. */
  readonly patienceMs?: number;
}

/** Why a cluster is not believed; trying again does not help. */
export class DiscoveryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DiscoveryError';
  }
}

const pauseMs = 100;
/** A server that answers signs with a new token at once: one that has not by then does not know it. */
const unsignedPatienceMs = 5_000;

/** Answers the cluster's authorities (PEM). Rejects with {@link DiscoveryError} when the cluster cannot be believed. */
export async function discoverAuthority(options: DiscoveryOptions): Promise<string> {
  const { world, server, patienceMs = 60_000 } = options;
  const deadlineMs = world.clock.now() + patienceMs;
  let answeredMs: number | undefined;
  for (;;) {
    try {
      const ca = trustedAuthority(await readClusterInfo(server, undefined), options);
      if (ca !== undefined) {
        // Once more, over a connection that only the holder of the authority's key can have made.
        const checked = trustedAuthority(await readClusterInfo(server, ca), options);
        if (checked !== undefined && checked !== ca) throw new DiscoveryError(`the cluster at ${server} says different things about its authority`);
        return ca;
      }
      answeredMs ??= world.clock.now();
      if (world.clock.now() > answeredMs + unsignedPatienceMs) {
        throw new DiscoveryError(`the cluster at ${server} does not know the token ${options.token.id}: make one with k8ts token create`);
      }
    } catch (error) {
      if (error instanceof DiscoveryError || world.clock.now() > deadlineMs) throw error;
    }
    await world.clock.sleep(pauseMs);
  }
}

async function readClusterInfo(server: string, ca: string | undefined): Promise<ConfigMap | undefined> {
  const transport = httpTransport({ server, ...(ca === undefined ? { insecureSkipTlsVerify: true } : { ca }), timeoutMs: 10_000 });
  try {
    return await createClient(transport).resource(ConfigMap).namespace('kube-public').get('cluster-info');
  } catch (error) {
    // Not published yet, or not for everybody yet.
    if (isReason(error, 'NotFound', 'Forbidden', 'Unauthorized')) return undefined;
    throw error;
  } finally {
    transport.close();
  }
}

/** The authorities a signed `cluster-info` names; undefined when the token has not signed it (yet). Throws {@link DiscoveryError} when it is not to be believed. */
export function trustedAuthority(info: ConfigMap | undefined, { token, caHashes }: Pick<DiscoveryOptions, 'token' | 'caHashes'>): string | undefined {
  const kubeconfig = info?.data?.['kubeconfig'];
  const signature = info?.data?.[`jws-kubeconfig-${token.id}`];
  if (kubeconfig === undefined || signature === undefined) return undefined;
  if (!isSignedBy(kubeconfig, signature, token))
    throw new DiscoveryError(`cluster-info is not signed with the token ${token.id}: is the token right?`);
  const ca = authorityIn(kubeconfig);
  if (ca === undefined) throw new DiscoveryError('cluster-info names no certificate authority');
  if (caHashes.length > 0 && !certificatesIn(ca).some((certificate) => caHashes.includes(publicKeyHash(certificate)))) {
    throw new DiscoveryError(
      `none of the cluster's authorities has the hash ${caHashes.join(' or ')}: this is another cluster, or someone in between`,
    );
  }
  return ca;
}

/** The hash kubeadm pins: of the public key, so that a renewed certificate keeps it. */
export function publicKeyHash(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

/** A JWS without its payload (RFC 7515, appendix F), by HMAC with the token's secret part. */
function isSignedBy(text: string, signature: string, { id, secret }: BootstrapToken): boolean {
  const [header = '', payload, mac = ''] = signature.split('.');
  if (payload !== '') return false;
  const { alg, kid } = headerOf(header);
  if (alg !== 'HS256' || kid !== id) return false;
  const expected = createHmac('sha256', secret)
    .update(`${header}.${Buffer.from(text).toString('base64url')}`)
    .digest();
  const given = Buffer.from(mac, 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function headerOf(encoded: string): { alg?: unknown; kid?: unknown } {
  try {
    const header: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    return typeof header === 'object' && header !== null ? header : {};
  } catch {
    return {};
  }
}

function authorityIn(kubeconfig: string): string | undefined {
  const parsed: unknown = parse(kubeconfig);
  if (typeof parsed !== 'object' || parsed === null || !('clusters' in parsed) || !Array.isArray(parsed.clusters)) return undefined;
  const [first]: unknown[] = parsed.clusters;
  if (typeof first !== 'object' || first === null || !('cluster' in first)) return undefined;
  const { cluster } = first;
  if (typeof cluster !== 'object' || cluster === null || !('certificate-authority-data' in cluster)) return undefined;
  const data = cluster['certificate-authority-data'];
  const text = typeof data === 'string' ? Buffer.from(data, 'base64').toString() : '';
  return certificatesIn(text).length === 0 ? undefined : text;
}

function certificatesIn(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
