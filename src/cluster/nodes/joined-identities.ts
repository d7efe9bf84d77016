/**
 * The certificates of a node that joined: the kubelet's first by bootstrap token, all others and every later one with the kubelet's. As upstream's TLS
 * bootstrapping; see https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
 */
import { isIP } from 'node:net';
import { Node } from '../../api/node-kinds.ts';
import type { Client } from '../../client/client.ts';
import { httpTransport } from '../../client/http.ts';
import { createClient } from '../../client/typed-client.ts';
import { isReason } from '../../machinery/errors.ts';
import { type CertificateKeeper, keepCertificate } from '../../kubeadm/certificate-keeper.ts';
import { obtainCertificate, type WantedCertificate } from '../../kubeadm/certificate-signing.ts';
import type { CertificatePair } from '../../kubeadm/certificates.ts';
import type { World } from '../../world/world.ts';
import { layoutOf } from '../layout.ts';
import type { NodeIdentities } from '../node-identities.ts';
import type { NodeSettings } from '../node-settings.ts';
import { dnsServiceAccount, ingressServiceAccount, provisionerServiceAccount, readPair, writePair } from '../pki.ts';
import { forgetToken, type NodeTrust } from './node-record.ts';

const clientUsages = ['digital signature', 'client auth'];
const clientSigner = 'kubernetes.io/kube-apiserver-client';
const pauseMs = 50;

/** What a request is made with: the bootstrap token, or a certificate. */
export type Proof = { readonly token: string } | CertificatePair;

export interface JoinedIdentities extends NodeIdentities {
  close(): void;
}

/** `connect` makes the client that asks; over HTTPS to the node's server when absent. */
export function joinedIdentities(
  settings: Pick<NodeSettings, 'dataDir' | 'nodeName' | 'server'>,
  { ca, token }: NodeTrust,
  world: World,
  connect: (proof: Proof) => Client = (proof) => createClient(httpTransport({ server: settings.server, ca, ...proof })),
): JoinedIdentities {
  const { dataDir, nodeName } = settings;
  const log = world.log.child('certificates');
  const { pki: directory } = layoutOf(dataDir);
  const keepers: CertificateKeeper[] = [];

  const keep = (name: string, obtain: (signal: AbortSignal) => Promise<CertificatePair>): CertificateKeeper => {
    const store = (pair: CertificatePair): void => void writePair(directory, name, pair);
    const keeper = keepCertificate({ world, log, name, kept: readPair(directory, name), obtain, keep: store });
    keepers.push(keeper);
    return keeper;
  };
  /** Over a connection of its own, for what is asked for once in months. */
  const asking = async <T>(proof: Proof, ask: (client: Client) => Promise<T>): Promise<T> => {
    const client = connect(proof);
    try {
      return await ask(client);
    } finally {
      client.transport.close();
    }
  };

  const kubelet = keep('kubelet', async (signal) => {
    const proof = kubelet.current() ?? (token === undefined ? undefined : { token });
    if (proof === undefined) throw new Error(`the node's certificate is no longer valid, and there is no bootstrap token: join again with k8ts join`);
    const wanted = {
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: clientUsages,
    };
    return asking(proof, (client) => obtainCertificate(client, world, wanted, signal));
  });
  void kubelet.first.then(() => forgetToken(dataDir)).catch(() => undefined);

  const byKubelet = (
    name: string,
    wanted: (client: Client, signal: AbortSignal) => WantedCertificate | Promise<WantedCertificate>,
  ): CertificateKeeper =>
    keep(name, async (signal) => {
      const proof = kubelet.current() ?? (await kubelet.first);
      return asking(proof, async (client) => obtainCertificate(client, world, await wanted(client, signal), signal));
    });
  const account = ({ namespace, name }: { namespace: string; name: string }): WantedCertificate => ({
    commonName: `system:serviceaccount:${namespace}:${name}`,
    organizations: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    signerName: clientSigner,
    usages: clientUsages,
  });

  return {
    ca,
    kubelet,
    kubeletServer: byKubelet('kubelet-server', async (client, signal) => ({
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      ...(await ownNames(client, nodeName, world, signal)),
      signerName: 'kubernetes.io/kubelet-serving',
      usages: ['digital signature', 'server auth'],
    })),
    proxy: byKubelet('proxy', () => ({
      commonName: 'system:kube-proxy',
      organizations: ['system:node-proxier'],
      signerName: clientSigner,
      usages: clientUsages,
    })),
    dns: byKubelet('dns', () => account(dnsServiceAccount)),
    provisioner: byKubelet('provisioner', () => account(provisionerServiceAccount)),
    ingress: byKubelet('ingress', () => account(ingressServiceAccount)),
    close: () => {
      for (const keeper of keepers) keeper.close();
    },
  };
}

/** What the Node says it is called and reached by; waits for it to say so. */
async function ownNames(client: Client, nodeName: string, world: World, signal: AbortSignal): Promise<{ dnsNames: string[]; ipAddresses: string[] }> {
  const nodes = client.resource(Node);
  for (;;) {
    const node = await nodes.get(nodeName, { signal }).catch((error: unknown) => {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    });
    const addresses = (node?.status.addresses ?? []).map(({ address }) => address);
    const ipAddresses = addresses.filter((address) => isIP(address) !== 0);
    if (ipAddresses.length > 0) return { ipAddresses, dnsNames: [...new Set([nodeName, ...addresses.filter((address) => isIP(address) === 0)])] };
    const options = { fieldSelector: `metadata.name=${nodeName}`, timeoutSeconds: 60, signal };
    for await (const event of nodes.watch(options)) if (event.type !== 'BOOKMARK' && (event.object.status.addresses ?? []).length > 0) break;
    signal.throwIfAborted();
    await world.clock.sleep(pauseMs, signal);
  }
}
