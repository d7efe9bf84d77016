/**
 * The API server of an in-process cluster and the store below it: started, restarted and ended apart from all that calls it, which the switchboard leads to
 * whatever server there is.
 */
import { generateKeyPairSync } from 'node:crypto';
import type { ApiServer, ApiServerOptions } from '../../apiserver/api-server.ts';
import { createApiServer } from '../../apiserver/create-api-server.ts';
import type { Client } from '../../client/client.ts';
import { createClient } from '../../client/typed-client.ts';
import { memoryStore, type MemoryStore, type StoreImage } from '../../store/memory.ts';
import type { StoreEvent } from '../../store/store.ts';
import { systemClock, systemRandom } from '../../world/system.ts';
import type { World } from '../../world/world.ts';
import { named } from '../identity.ts';
import { clusterDomain, serviceCidr } from './ranges.ts';
import { createCredentials, type Credentials, kubeconfigOf, listen } from './serving.ts';
import { Switchboard } from './switchboard.ts';

export interface ServerOptions extends Pick<ApiServerOptions, 'computed' | 'computedKinds'> {
  /** Serves here, or nowhere. */
  readonly port?: number;
  /** Told of every write. */
  readonly onCommit?: (commit: StoreEvent) => void;
  /** Where the kubelet of a node listens. */
  readonly locateKubelet: (nodeName: string) => { host: string; port: number } | undefined;
}

/** Why a wait ended. */
const committed = new Error('something was written');

/** Enough for whoever was away for a moment; a test looks back through its own notes. */
const keptHistory = { revisions: 5_000 };

export class Server {
  readonly switchboard = new Switchboard();
  readonly #world: World;
  readonly #options: ServerOptions;
  readonly #commitListeners = new Set<(commit: StoreEvent) => void>();
  #store: MemoryStore | undefined;
  #watching = new AbortController();
  #apiServer: ApiServer | undefined;
  #credentials: Credentials | undefined;
  #serviceAccountKey: string | undefined;
  #port: number | undefined;
  #ended = false;

  constructor(world: World, options: ServerOptions) {
    this.#world = world;
    this.#options = options;
    if (options.onCommit) this.#commitListeners.add(options.onCommit);
  }

  /** Undefined without a port. */
  get credentials(): Credentials | undefined {
    return this.#credentials;
  }

  /** What signs tokens, from the first start on. */
  get serviceAccountKey(): string | undefined {
    return this.#serviceAccountKey;
  }

  /** Throws when the cluster is closed. */
  get store(): MemoryStore {
    if (this.#store === undefined) throw new Error('the cluster is closed');
    return this.#store;
  }

  /** Throws when the cluster is closed. */
  assertOpen(): void {
    if (this.#store === undefined) throw new Error('the cluster is closed');
  }

  /** Makes what a port needs. That takes real time, whatever the clock. */
  async prepare(): Promise<void> {
    if (this.#options.port === undefined) return;
    this.#credentials ??= await createCredentials({ clock: systemClock, random: systemRandom, log: this.#world.log }, serviceCidr);
  }

  /** With its port, the same as before if there was one. */
  async open(image?: StoreImage): Promise<void> {
    await this.prepare();
    const apiServer = await this.#start(image);
    const { port } = this.#options;
    if (port !== undefined && this.#credentials) this.#port = await listen(apiServer, this.#port ?? port, this.#credentials);
  }

  /** Undoes {@link open}. */
  async shut(): Promise<void> {
    await this.#stop();
    await this.#store?.close();
    this.#store = undefined;
  }

  /** The store and the server over it go down, and come back with all that was acknowledged. What was under way fails. */
  async restartStore(downMs: number): Promise<void> {
    const { store } = this;
    await this.#stop();
    await store.close();
    await this.#world.clock.sleep(downMs);
    if (!this.#ended) await this.#start(store.image());
  }

  /** Nothing starts any more. */
  end(): void {
    this.#ended = true;
  }

  clientAs(user: string, groups: readonly string[] = []): Client {
    const { name, groups: own, ...rest } = named(user);
    return createClient(this.switchboard.line().as({ ...rest, name, groups: [...new Set([...groups, ...own])] }));
  }

  url(): string | undefined {
    return this.#port === undefined ? undefined : `https://127.0.0.1:${this.#port}`;
  }

  kubeconfig(): string {
    if (this.#port === undefined || this.#credentials === undefined) {
      throw new Error('this cluster has no port: start it with { port: 0 }, or use its client');
    }
    return kubeconfigOf(this.#port, this.#credentials);
  }

  /** Calls with every commit from now on; answers how to stop. */
  onCommit(listener: (commit: StoreEvent) => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /** Resolves soon after the next commit, with those of the same moment, or after so long. */
  async nextCommit(withinMs: number): Promise<void> {
    const { clock } = this.#world;
    const enough = new AbortController();
    const stop = this.onCommit(() => {
      stop();
      clock.after(1, () => enough.abort(committed));
    });
    // Unlike an alarm, a sleep keeps the process alive: whoever waits here has nothing else that does.
    await clock.sleep(withinMs, enough.signal).catch(() => undefined);
    stop();
  }

  /** Over what the store holds, or over another store that begins with the image. */
  async #start(image?: StoreImage): Promise<ApiServer> {
    const { clock, log } = this.#world;
    if (this.#store === undefined || image !== undefined) this.#store = memoryStore({ clock, log, history: keptHistory }, image);
    const store = this.#store;
    this.#watching = new AbortController();
    const tell = (commit: StoreEvent): void => {
      for (const listener of this.#commitListeners) listener(commit);
    };
    await store.watch('', store.revision(), tell, this.#watching.signal);
    this.#serviceAccountKey ??= this.#credentials?.serviceAccountKey ?? signingKey();
    const { computed, computedKinds } = this.#options;
    const apiServer = await createApiServer({
      world: this.#world,
      store,
      sharesValues: true,
      serviceCidr,
      nodePortRange: { from: 30_000, to: 32_767 },
      serviceAccountKey: this.#serviceAccountKey,
      serviceAccountIssuer: `https://kubernetes.default.svc.${clusterDomain}`,
      staticTokens: new Map(),
      clientCa: this.#credentials?.ca.certificate ?? '',
      ...(this.#credentials && { kubeletClient: this.#kubeletClient(this.#credentials) }),
      // Nobody in the process is kept waiting for the sake of others; over the wire a test has the server to itself.
      maxRequestsInFlight: 0,
      ...(computed && { computed }),
      ...(computedKinds && { computedKinds }),
    });
    this.#apiServer = apiServer;
    this.switchboard.plug(apiServer);
    return apiServer;
  }

  /** The store stays. */
  async #stop(): Promise<void> {
    this.switchboard.plug(undefined);
    const apiServer = this.#apiServer;
    this.#apiServer = undefined;
    await apiServer?.close();
    this.#watching.abort();
  }

  /** Simulated kubelets are on loopback, whatever addresses their Nodes have, and take an administrator for the API server. */
  #kubeletClient({ admin, ca }: Credentials): NonNullable<ApiServerOptions['kubeletClient']> {
    return { ...admin, ca: ca.certificate, locate: this.#options.locateKubelet };
  }
}

function signingKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
}
