/**
 * The servers of simulated kubelets, which a cluster with a port has so that logs can be asked for: one for each kubelet that runs, all on loopback,
 * where the API server is told to look for them. What they do takes real time, whatever the clock.
 */
import type { Kubelet } from '../../kubelet/kubelet.ts';
import type { KubeletServer } from '../../kubelet/server/kubelet-server.ts';
import type { Credentials } from './serving.ts';
import type { Machine } from './simulated-nodes.ts';

const host = '127.0.0.1';

export class KubeletServers {
  readonly #credentials: Credentials;
  readonly #ports = new Map<string, number>();
  /** Begun, and not closed yet. */
  readonly #open = new Set<Promise<KubeletServer>>();
  readonly #closing = new Set<Promise<void>>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Serves for a kubelet from soon on; answers how to stop. */
  begin({ name, runtime, world }: Machine, { pods, stats }: Kubelet): () => void {
    const server = this.#start({ world, pods, stats, runtime, nodeName: name });
    this.#open.add(server);
    let stopped = false;
    server.then(
      ({ port }) => {
        if (!stopped) this.#ports.set(name, port);
      },
      (error: unknown) => world.log.child('kubelet-server').warn('a simulated node has no server', { node: name, error: String(error) }),
    );
    return () => {
      stopped = true;
      this.#ports.delete(name);
      this.#end(server);
    };
  }

  /** Where the kubelet of a node listens; undefined while it does not. */
  locate(nodeName: string): { host: string; port: number } | undefined {
    const port = this.#ports.get(nodeName);
    return port === undefined ? undefined : { host, port };
  }

  /** Resolves when all that were begun listen. */
  async listening(): Promise<void> {
    await Promise.allSettled(this.#open);
  }

  /** Resolves when nothing of them is left. */
  async close(): Promise<void> {
    for (const server of this.#open) this.#end(server);
    await Promise.all(this.#closing);
  }

  async #start(served: Pick<Machine, 'world' | 'runtime'> & Pick<Kubelet, 'pods' | 'stats'> & { readonly nodeName: string }): Promise<KubeletServer> {
    const { startKubeletServer } = await import('../../kubelet/server/kubelet-server.ts');
    const { server, ca } = this.#credentials;
    return startKubeletServer({ ...served, host, port: 0, certificate: server.certificate, key: server.key, clientCa: ca.certificate });
  }

  #end(server: Promise<KubeletServer>): void {
    if (!this.#open.delete(server)) return;
    const closed = server
      .then((started) => started.close())
      // One that never listened was complained of when it failed.
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closed));
    this.#closing.add(closed);
  }
}
