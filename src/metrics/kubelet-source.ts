/** Reads nodes from their kubelets' servers over HTTPS, with a certificate that they let in. */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Node } from '../api/kinds.ts';
import type { World } from '../world/world.ts';
import type { NodeReading } from './node-reading.ts';
import type { ReadingSource } from './node-readings.ts';
import { parseReading } from './parse-reading.ts';

export interface KubeletSourceOptions {
  readonly world: World;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** That kubelets' certificates chain to. */
  readonly ca: string;
}

export interface KubeletSource extends ReadingSource {
  close(): void;
}

/** As upstream's metrics-server. */
const timeoutMs = 10_000;
const addressPreference = ['InternalIP', 'ExternalIP', 'InternalDNS', 'Hostname', 'ExternalDNS'] as const;

export function kubeletSource({ world, certificate, key, ca }: KubeletSourceOptions): KubeletSource {
  const agent = new Agent({ cert: certificate, key, ca, keepAlive: true, maxFreeSockets: 1 });

  async function read(node: Node): Promise<NodeReading> {
    const gone = new AbortController();
    const timer = world.clock.after(timeoutMs, () => gone.abort(new Error(`no answer within ${timeoutMs} ms`)));
    try {
      const response = await ask({ agent, ...placeOf(node), path: '/metrics/resource', servername: '', signal: gone.signal });
      const body = await text(response);
      if (response.statusCode !== 200) throw new Error(`the kubelet answered ${response.statusCode}: ${body.trim()}`);
      return parseReading(body, world.clock.now());
    } finally {
      timer.cancel();
    }
  }

  return { read, isInstant: false, close: () => agent.destroy() };
}

function ask(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => httpsRequest(options, resolve).on('error', reject).end());
}

function placeOf({ metadata, status }: Node): { readonly host: string; readonly port: number } {
  const addresses = status.addresses ?? [];
  const found = addressPreference.map((type) => addresses.find((address) => address.type === type)).find((address) => address !== undefined);
  if (found === undefined) throw new Error(`node ${metadata.name} has no address`);
  return { host: found.address, port: status.daemonEndpoints?.kubeletEndpoint?.Port ?? 10_250 };
}
