/** An API server on a free loopback port, with a CA of its own and clients of different identities; over the memory store. */
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { ApiServer, ApiServerOptions } from '../../src/apiserver/api-server.ts';
import { createApiServer } from '../../src/apiserver/create-api-server.ts';
import { type CertificatePair, createCertificateAuthority, createSigningKey, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { realWorld } from '../../src/world/real.ts';
import type { World } from '../../src/world/world.ts';

export interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; `{}` when it is none. */
  readonly json: Json;
}

/** Any JSON value, read by path. */
// oxlint-disable-next-line typescript/no-explicit-any -- answers of every shape are asserted on
export type Json = any;

export interface Send {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  /** An object is sent as JSON. */
  readonly body?: object | string | Buffer;
  readonly token?: string;
  readonly identity?: CertificatePair;
}

export interface TestServer {
  readonly world: World;
  readonly port: number;
  readonly ca: CertificatePair;
  readonly admin: CertificatePair;
  readonly api: ApiServer;
  certificate(commonName: string, ...organizations: string[]): Promise<CertificatePair>;
  /** As the administrator, unless another identity or token is given; with neither when `identity` is undefined explicitly. */
  send(path: string, options?: Send): Promise<Reply>;
  close(): Promise<void>;
}

export async function startTestServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const world = realWorld({ level: 'silent' });
  const ca = await createCertificateAuthority(world, 'test');
  const certificate = (commonName: string, ...organizations: string[]): Promise<CertificatePair> =>
    issueCertificate(world, { ca, commonName, organizations, usages: ['client'] });
  const serving = await issueCertificate(world, {
    ca,
    commonName: 'kube-apiserver',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
  });
  const admin = await certificate('admin', 'system:masters');
  const store = memoryStore({ clock: world.clock });
  const api = await createApiServer({
    world,
    store,
    serviceCidr: '10.96.0.0/16',
    nodePortRange: { from: 30_000, to: 32_767 },
    advertise: { address: '192.0.2.1', port: 6443 },
    serviceAccountKey: await createSigningKey(),
    serviceAccountIssuer: 'https://kubernetes.default.svc.cluster.local',
    staticTokens: new Map([['sesame', { name: 'ali', uid: '40', groups: ['thieves'], extra: {} }]]),
    clientCa: ca.certificate,
    ...options,
  });
  const port = await api.listen({ host: '127.0.0.1', port: 0, certificate: serving.certificate, key: serving.key });
  const agents = new Map<CertificatePair | undefined, Agent>();
  const agentOf = (identity: CertificatePair | undefined): Agent => {
    const known = agents.get(identity);
    if (known !== undefined) return known;
    const agent = new Agent({ keepAlive: true, ca: ca.certificate, ...(identity && { cert: identity.certificate, key: identity.key }) });
    agents.set(identity, agent);
    return agent;
  };
  return {
    world,
    port,
    ca,
    admin,
    api,
    certificate,
    send: (path, sent = {}) => {
      const identity = 'identity' in sent || sent.token !== undefined ? sent.identity : admin;
      return exchange(port, agentOf(identity), path, sent);
    },
    async close() {
      for (const agent of agents.values()) agent.destroy();
      await api.close();
      await store.close();
    },
  };
}

function exchange(port: number, agent: Agent, path: string, { method = 'GET', headers = {}, body, token }: Send): Promise<Reply> {
  const isJson = typeof body === 'object' && !Buffer.isBuffer(body);
  const all = { ...(isJson && { 'content-type': 'application/json' }), ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers };
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ host: '127.0.0.1', port, agent, method, path, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const json = text.startsWith('{') ? JSON.parse(text) : {};
        resolve({ code: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    request.on('error', reject);
    if (body === undefined) request.end();
    else request.end(isJson ? JSON.stringify(body) : body);
  });
}

export function configMap(name: string, data: Record<string, string> = {}): object {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}
