/**
 * The HTTPS port of a component that is no server of its own: health, metrics, and nothing else. Upstream's `--secure-port` of kube-controller-manager
 * and kube-scheduler.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { authenticationConfig } from '../../apiserver/aggregation/authentication-config.ts';
import { addHealthPaths, type HealthCheck } from '../../apiserver/http/health.ts';
import { Exposition, metricsContentType } from '../../machinery/exposition.ts';
import { Paths, type PathAnswer, jsonAnswer } from '../../apiserver/http/paths.ts';
import { ConfigMap } from '../../api/kinds.ts';
import type { Client } from '../../client/client.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../kubeadm/certificates.ts';
import { ApiError, badRequest } from '../../machinery/errors.ts';
import type { World } from '../../world/world.ts';
import { ClusterError } from '../config.ts';
import { plainListenError } from '../listen-error.ts';
import type { Running } from './component.ts';
import { DelegatedAccess } from './delegated-access.ts';
import { readCertificates, readPair } from './files.ts';

export interface SecurePortFlags {
  readonly bindAddress: string;
  /** 0 for none. */
  readonly securePort: number;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
  readonly authorizationAlwaysAllowPaths: readonly string[];
}

export interface Pages {
  readonly checks: readonly HealthCheck[];
  /** Of `/readyz`, where they are others. */
  readonly readyChecks?: readonly HealthCheck[];
  readonly metrics: (out: Exposition) => void;
  /** What the component has to show besides. */
  readonly more?: (paths: Paths) => void;
}

/** Serves until the component ends. Resolves when it listens. */
export async function serveSecurely(flags: SecurePortFlags, client: Client, { world, closers }: Running, pages: Pages): Promise<void> {
  const { bindAddress: host, securePort: port } = flags;
  if (port === 0) return;
  const serving = await servingPair(flags, world);
  const ownCa = flags.clientCaFile === undefined ? undefined : readCertificates('--client-ca-file', flags.clientCaFile);
  const access = new DelegatedAccess(client, world, flags.authorizationAlwaysAllowPaths);
  const paths = pathsOf(pages, world.clock.now());
  const tls = { cert: serving.certificate, key: serving.key, minVersion: 'TLSv1.2' } as const;
  const server = createServer({ ...tls, ...(ownCa !== undefined && { ca: ownCa }), requestCert: true, rejectUnauthorized: false });
  server.on('request', (request, response) => void answer(request, response, access, paths, world));
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await listen(server, host, port).catch((error: unknown) => {
    throw plainListenError(error, { host, port, portFlag: '--secure-port', hostFlag: '--bind-address' });
  });
  closers.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  if (ownCa !== undefined) return;
  const abort = new AbortController();
  const asked = clusterClientCa(client, world, abort.signal).then((ca) => {
    if (ca !== undefined) server.setSecureContext({ ...tls, ca });
  });
  closers.push(() => {
    abort.abort();
    return asked;
  });
}

/** As upstream: the cluster says whose client certificates are good. */
async function clusterClientCa(client: Client, world: World, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { namespace, name } = authenticationConfig;
    return (await client.resource(ConfigMap).namespace(namespace).get(name, { signal })).data?.['client-ca-file'];
  } catch (error) {
    // Tokens still do.
    if (!signal.aborted) world.log.warn('client certificates will not be known: give --client-ca-file', { error: String(error) });
    return undefined;
  }
}

/** Signed by itself when none is given. */
async function servingPair({ tlsCertFile, tlsPrivateKeyFile, bindAddress }: SecurePortFlags, world: World): Promise<CertificatePair> {
  const [certificateFlag, keyFlag] = ['--tls-cert-file', '--tls-private-key-file'];
  if (tlsCertFile !== undefined && tlsPrivateKeyFile !== undefined) return readPair(certificateFlag, tlsCertFile, keyFlag, tlsPrivateKeyFile);
  if (tlsCertFile !== undefined || tlsPrivateKeyFile !== undefined)
    throw new ClusterError(`${certificateFlag} and ${keyFlag} go together: give both`);
  const name = hostname().toLowerCase();
  const ca = await createCertificateAuthority(world, `${name}-ca`);
  const ipAddresses = [...new Set(['127.0.0.1', ...(isIP(bindAddress) === 0 ? [] : [bindAddress])])];
  return issueCertificate(world, { ca, commonName: name, dnsNames: [name, 'localhost'], ipAddresses, usages: ['server'] });
}

function pathsOf({ checks, readyChecks = checks, metrics, more }: Pages, startedMs: number): Paths {
  const paths = new Paths();
  addHealthPaths(paths, { healthz: checks, livez: checks, readyz: readyChecks });
  paths.add('/metrics', () => {
    const out = new Exposition();
    metrics(out);
    renderProcess(out, startedMs);
    return { code: 200, contentType: metricsContentType, body: out.text() };
  });
  more?.(paths);
  return paths;
}

function renderProcess(out: Exposition, startedMs: number): void {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  out.single('process_cpu_seconds_total', 'counter', 'Processor time spent, user and system.', (userCPUTime + systemCPUTime) / 1e6);
  out.single('process_resident_memory_bytes', 'gauge', 'Resident memory.', process.memoryUsage().rss);
  out.single('process_start_time_seconds', 'gauge', 'When the component started, in seconds since the epoch.', startedMs / 1000);
}

async function answer(request: IncomingMessage, response: ServerResponse, access: DelegatedAccess, paths: Paths, world: World): Promise<void> {
  request.resume();
  try {
    const url = new URL(request.url ?? '/', 'https://component');
    await access.admit(request, url.pathname);
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource');
    send(response, paths.answer({ path: url.pathname, query: url.searchParams, headers: request.headers }));
  } catch (error) {
    send(response, failureOf(error, world));
  }
}

function failureOf(error: unknown, world: World): PathAnswer {
  if (error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL')
    return failureOf(badRequest('the path cannot be read'), world);
  if (error instanceof ApiError) return jsonAnswer(error.toStatus(), error.code);
  world.log.error('a page could not be answered', { error: String(error) });
  return jsonAnswer(new ApiError('InternalError', 'the API server could not be asked').toStatus(), 500);
}

function send(response: ServerResponse, { code, contentType, body, headers }: PathAnswer): void {
  response.writeHead(code, { 'content-type': contentType, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-cache', ...headers });
  response.end(body);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
