/** Makes a node's DNS server an endpoint of the `kube-dns` Service, where pods look for it; the endpoint goes with the Node. */
import { EndpointSlice, Node } from '../api/node-kinds.ts';
import type { Client } from '../client/client.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import type { NodeSettings } from './node-settings.ts';
import { dnsServiceAccount } from './pki.ts';

export interface DnsAnnouncementOptions {
  readonly world: World;
  /** With the DNS server's identity. */
  readonly client: Client;
  /** Of someone who may see Nodes. */
  readonly informers: Informers;
  readonly node: Pick<NodeSettings, 'nodeName' | 'nodeIp'>;
  readonly port: number;
}

export interface DnsAnnouncement {
  /** Resolves when the server is announced for the first time. */
  readonly first: Promise<void>;
  close(): void;
}

const retryMs = 1_000;

/** Announced anew for each Node object of this name: one that was deleted took its endpoint along. */
export function announceDns(options: DnsAnnouncementOptions): DnsAnnouncement {
  const { world, client, informers, node } = options;
  const log = world.log.child('dns');
  const closed = new AbortController();
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined);
  let announcedFor = '';

  async function announce({ metadata }: Node): Promise<void> {
    if (metadata.name !== node.nodeName || metadata.uid === announcedFor) return;
    announcedFor = metadata.uid;
    const slice = sliceOf(options, metadata.uid);
    const slices = client.resource(EndpointSlice).namespace(dnsServiceAccount.namespace);
    while (announcedFor === metadata.uid && !closed.signal.aborted) {
      try {
        await slices.patch(slice.metadata.name, slice, { type: 'apply', fieldManager: 'k8ts-dns', force: true, signal: closed.signal });
        first.resolve();
        return;
      } catch (error) {
        if (closed.signal.aborted) return;
        log.warn('the DNS server could not be announced; trying again', { error: error instanceof Error ? error.message : String(error) });
        await world.clock.sleep(retryMs, closed.signal).catch(() => undefined);
      }
    }
  }

  const look = (seen: Node): void => void announce(seen);
  const unsubscribe = informers.of(Node).subscribe({ added: look, updated: look });
  return {
    first: first.promise,
    close() {
      closed.abort();
      unsubscribe();
      first.reject(new Error('the DNS server is no longer announced'));
    },
  };
}

function sliceOf({ node: { nodeName, nodeIp }, port }: DnsAnnouncementOptions, nodeUid: string) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `kube-dns-${nodeName}`,
      namespace: dnsServiceAccount.namespace,
      labels: { 'kubernetes.io/service-name': 'kube-dns', 'endpointslice.kubernetes.io/managed-by': 'dns.k8ts.io' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeUid }],
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [nodeIp], conditions: { ready: true, serving: true, terminating: false }, nodeName }],
    ports: [
      { name: 'dns', port, protocol: 'UDP' },
      { name: 'dns-tcp', port, protocol: 'TCP' },
    ],
  };
}
