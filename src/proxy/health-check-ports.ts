/**
 * The health check node ports of Services with `externalTrafficPolicy: Local`: a load balancer asks each node whether it has a ready endpoint of the
 * Service, and sends packets only to those that do. Follows upstream's `pkg/proxy/healthcheck`.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Service } from '../api/kinds.ts';
import { createServer } from '../world/node-http.ts';
import type { Log } from '../world/world.ts';

interface Port {
  readonly server: Server;
  readonly port: number;
  readonly namespace: string;
  readonly name: string;
  endpoints: number;
}

export class HealthCheckPorts {
  readonly #ports = new Map<string, Port>();
  readonly #log: Log;
  readonly #isHealthy: () => boolean;

  /** `isHealthy`: whether the proxy's rules are as they should be; a node without them is to be left out. */
  constructor(log: Log, isHealthy: () => boolean) {
    this.#log = log;
    this.#isHealthy = isHealthy;
  }

  /** Opens, keeps or closes the port of the Service under `key`. `endpoints`: how many are ready here. */
  set(key: string, service: Service | undefined, endpoints: number): void {
    const port =
      service?.spec.type === 'LoadBalancer' && service.spec.externalTrafficPolicy === 'Local' ? (service.spec.healthCheckNodePort ?? 0) : 0;
    const known = this.#ports.get(key);
    if (known && known.port !== port) {
      this.#ports.delete(key);
      end(known.server);
    }
    if (!service || port === 0) return;
    const open = this.#ports.get(key);
    if (open) open.endpoints = endpoints;
    else this.#open(key, service, port, endpoints);
  }

  #open(key: string, { metadata: { namespace, name } }: Service, port: number, endpoints: number): void {
    const server = createServer((request, response) => {
      request.resume();
      answer(response, opened, this.#isHealthy());
    });
    const opened: Port = { server, port, namespace, name, endpoints };
    this.#ports.set(key, opened);
    server.on('error', (error) => this.#log.error('a health check node port cannot be served', { service: key, port, error: error.message }));
    server.listen(port);
  }

  close(): void {
    for (const { server } of this.#ports.values()) end(server);
    this.#ports.clear();
  }
}

function answer(response: ServerResponse, { namespace, name, endpoints }: Port, serviceProxyHealthy: boolean): void {
  response.writeHead(endpoints > 0 && serviceProxyHealthy ? 200 : 503, {
    'Content-Type': 'application/json',
    'X-Content-Type-Options': 'nosniff',
    'X-Load-Balancing-Endpoint-Weight': String(endpoints),
  });
  response.end(`${JSON.stringify({ service: { namespace, name }, localEndpoints: endpoints, serviceProxyHealthy }, undefined, '\t')}\n`);
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}
