/** Where a node's kubelet listens, and how the server talks to it: HTTPS with the server's own client certificate. */
import type { Agent } from 'node:https';
import type { ClientRequest, OutgoingHttpHeaders } from 'node:http';
import { Node } from '../../api/kinds.ts';
import { ApiError, notFound, serviceUnavailable } from '../../machinery/errors.ts';
import { https } from '../../world/http-modules.ts';
import type { ApiServerOptions } from '../api-server.ts';
import type { ObjectReader } from '../verbs.ts';

export interface BackendRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
}

/** kubeadm's order of preference: what always resolves comes first. */
const addressPreference = ['InternalIP', 'ExternalIP', 'InternalDNS', 'Hostname', 'ExternalDNS'] as const;
const defaultKubeletPort = 10_250;

export class KubeletConnector {
  private readonly objects: ObjectReader;
  private readonly agent: Agent | undefined;
  private readonly locate: NonNullable<ApiServerOptions['kubeletClient']>['locate'];

  constructor(objects: ObjectReader, credentials: ApiServerOptions['kubeletClient']) {
    this.objects = objects;
    this.locate = credentials?.locate;
    this.agent =
      credentials &&
      new (https().Agent)({
        cert: credentials.certificate,
        key: credentials.key,
        ca: credentials.ca,
        keepAlive: true,
        maxFreeSockets: 16,
        timeout: 0,
      });
  }

  /** Begins a request. Throws a 404 for a node that is not there, and a 503 for one that does not say where it is. */
  request(nodeName: string, { method, path, headers }: BackendRequest): ClientRequest {
    const { host, port } = this.addressOf(nodeName);
    if (this.agent === undefined) throw serviceUnavailable('the server has no certificate to show to kubelets');
    // A streaming connection is not given back to the agent, so each upgrade gets its own.
    return https().request({ agent: this.agent, host, port, method, path, headers, servername: '' });
  }

  close(): void {
    this.agent?.destroy();
  }

  private addressOf(nodeName: string): { host: string; port: number } {
    const node = this.objects.get(Node, undefined, nodeName);
    if (node === undefined) throw notFound({ group: '', resource: 'nodes' }, nodeName);
    if (this.locate) {
      const place = this.locate(nodeName);
      if (place === undefined) throw serviceUnavailable(`the kubelet of node ${JSON.stringify(nodeName)} is not up`);
      return place;
    }
    const addresses = node.status.addresses ?? [];
    const host = addressPreference
      .map((type) => addresses.find((address) => address.type === type)?.address)
      .find((address) => address !== undefined);
    if (host === undefined) throw new ApiError('ServiceUnavailable', `no preferred addresses found; known addresses: ${JSON.stringify(addresses)}`);
    return { host, port: node.status.daemonEndpoints?.kubeletEndpoint?.Port ?? defaultKubeletPort };
  }
}
