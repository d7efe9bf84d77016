/**
 * Group versions that other servers serve: follows the APIService objects, looks whether those servers can be asked, and knows which requests go to them.
 * It keeps the objects of what is served here, too. Upstream's kube-aggregator. See
 * https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
 */
import { createHash } from 'node:crypto';
import { APIService, CustomResourceDefinition, EndpointSlice, Service } from '../../api/kinds.ts';
import { apiVersionOf } from '../../api/kind.ts';
import type { V1APIServiceCondition } from '../../api/types.ts';
import { isReason } from '../../machinery/errors.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { timestamp, type Timer, type World } from '../../world/world.ts';
import { groupsOf, type ServedGroup } from '../discovery/resources.ts';
import { askSelf } from '../own-requests.ts';
import type { Encoded, RequestVerb } from '../request.ts';
import type { Verbs } from '../verbs.ts';
import { checkAvailability } from './availability.ts';
import { localCondition, localServices, planLocal } from './local-api-services.ts';
import { inOrder } from './priorities.ts';
import { type ProxyClient, RemoteApi } from './remote-api.ts';
import { RemoteOpenApi } from './remote-open-api.ts';

/** What is well is looked at again so often; what is not, sooner at first. */
const recheckMs = 30_000;
const firstRetryMs = 500;
const lastRetryMs = 5_000;
const documentsEveryMs = 60_000;

interface Followed {
  readonly api: RemoteApi;
  readonly openApi: RemoteOpenApi;
  timer: Timer | undefined;
  retryMs: number;
  documentsAt: number;
}

export interface AggregatorOptions {
  readonly world: World;
  readonly verbs: Verbs;
  /** Without one, requests are passed on without a proof of who asks for whom. */
  readonly proxyClient?: ProxyClient;
}

export class Aggregator {
  readonly #options: AggregatorOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #byPlace = new Map<string, Followed>();
  /** Names being looked after now; true when there is more to do after that. */
  readonly #busy = new Map<string, boolean>();
  readonly #running = new Set<Promise<void>>();
  #generation = 0;
  #localWanted = false;
  #closed = false;

  constructor(options: AggregatorOptions) {
    this.#options = options;
  }

  /** Resolves when the objects of what is served here are written. */
  async start(): Promise<void> {
    const { verbs } = this.#options;
    await this.#syncLocal(true);
    verbs.observe(APIService, (current, previous) => {
      this.#lookAfter(nameOf(current ?? previous));
      if (current === undefined) this.#keepLocal();
    });
    verbs.observe(CustomResourceDefinition, () => this.#keepLocal());
    const concerned = (namespace: string | undefined, name: string | undefined): void => {
      for (const [serviceName, followed] of this.#followed) {
        const { service } = followed.api;
        if (service.namespace !== namespace || service.name !== name) continue;
        // Something changed: what failed for long may well be mended.
        followed.retryMs = firstRetryMs / 2;
        this.#lookAfter(serviceName);
      }
    };
    verbs.observe(Service, (current, previous) => {
      if (this.#followed.size > 0) concerned((current ?? previous)?.object.metadata.namespace, nameOf(current ?? previous));
    });
    verbs.observe(EndpointSlice, (current, previous) => {
      if (this.#followed.size === 0) return;
      const { namespace, labels } = (current ?? previous)?.object.metadata ?? {};
      concerned(namespace, labels?.['kubernetes.io/service-name']);
    });
    for (const { metadata } of verbs.objects.list(APIService)) this.#lookAfter(metadata.name);
  }

  /** Who serves the path elsewhere; undefined for what is served here. */
  remoteFor(path: string): RemoteApi | undefined {
    if (this.#byPlace.size === 0 || !path.startsWith('/apis/')) return undefined;
    const [group = '', version = ''] = path.slice('/apis/'.length).split('/', 2);
    return this.#byPlace.get(`${group}/${version}`)?.api;
  }

  /** Counts changes of what is told about remote APIs. */
  generation(): number {
    return this.#generation;
  }

  /** All groups, of this server and others, in the order discovery tells them. */
  groups(): ServedGroup[] {
    const remote = [...this.#byPlace.values()].map(({ api }) => ({
      spec: api.spec,
      version: api.spec.version ?? '',
      kinds: [],
      remote: { resources: api.resources ?? [], isCurrent: api.isAvailable },
    }));
    return inOrder(groupsOf(this.#options.verbs.kinds()), remote);
  }

  /** The documents of remote APIs, by `apis/<group>/<version>`. */
  openApi(): ReadonlyMap<string, RemoteOpenApi> {
    return new Map([...this.#byPlace].map(([place, { openApi }]) => [`apis/${place}`, openApi]));
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const followed of this.#followed.values()) drop(followed);
    this.#followed.clear();
    this.#byPlace.clear();
    await Promise.all(this.#running);
  }

  // ---- what is served here

  /** Not within the event that led here, and once for all that happens in this turn. */
  #keepLocal(): void {
    if (this.#localWanted || this.#closed) return;
    this.#localWanted = true;
    this.#run(async () => {
      await Promise.resolve();
      this.#localWanted = false;
      await this.#syncLocal(false);
    });
  }

  async #syncLocal(isStart: boolean): Promise<void> {
    const { verbs } = this.#options;
    const plan = planLocal(localServices(verbs.kinds()), verbs.objects.list(APIService), isStart);
    await Promise.all([
      ...plan.create.map((service) => this.#call('create', undefined, { kind: APIService.kind, apiVersion: apiVersionOf(APIService), ...service })),
      ...plan.update.map((service) => this.#call('update', service.metadata.name, service)),
      ...plan.remove.map(({ metadata }) => this.#call('delete', metadata.name, undefined)),
    ]);
  }

  // ---- what is served elsewhere

  #lookAfter(name: string): void {
    if (this.#closed) return;
    if (this.#busy.has(name)) {
      this.#busy.set(name, true);
      return;
    }
    this.#run(async () => {
      // Not within the event that led here: the store is in the middle of telling everyone.
      await Promise.resolve();
      try {
        do {
          this.#busy.set(name, false);
          await this.#reconcile(name);
        } while (this.#busy.get(name) === true && !this.#closed);
      } finally {
        this.#busy.delete(name);
      }
    });
    this.#busy.set(name, false);
  }

  #run(task: () => Promise<void>): void {
    const run = task()
      .catch((error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        if (!this.#closed) this.#options.world.log.error('API services could not be looked after', { error: text });
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #reconcile(name: string): Promise<void> {
    const { world, verbs } = this.#options;
    const service = verbs.objects.get(APIService, undefined, name);
    const followed = this.#follow(name, service);
    if (service === undefined) return;
    if (followed === undefined) {
      await this.#writeCondition(service, localCondition);
      return;
    }
    const { api, openApi } = followed;
    followed.timer?.cancel();
    const { condition, resources } = await checkAvailability(verbs.objects, api);
    // What it was about is over.
    if (this.#closed || this.#followed.get(name) !== followed) return;
    const isAvailable = condition.status === 'True';
    if (isAvailable !== api.isAvailable || (resources !== undefined && JSON.stringify(resources) !== JSON.stringify(api.resources)))
      this.#generation++;
    api.isAvailable = isAvailable;
    if (resources !== undefined) api.resources = resources;
    followed.retryMs = isAvailable ? firstRetryMs : Math.min(lastRetryMs, followed.retryMs * 2);
    followed.timer = world.clock.after(isAvailable ? recheckMs : followed.retryMs, () => this.#lookAfter(name));
    await this.#writeCondition(service, condition);
    const now = world.clock.now();
    if (!isAvailable || now - followed.documentsAt < documentsEveryMs) return;
    followed.documentsAt = now;
    if (await openApi.refresh()) this.#generation++;
  }

  /** The API behind a service; undefined for none, and for one that is served here. */
  #follow(name: string, service: APIService | undefined): Followed | undefined {
    const known = this.#followed.get(name);
    if (known !== undefined && service !== undefined && known.api.isFor(service.spec)) return known;
    if (known !== undefined) {
      drop(known);
      this.#followed.delete(name);
      this.#byPlace.delete(placeOf(known.api.spec));
      this.#generation++;
    }
    if (service?.spec.service === undefined) return undefined;
    const { world, verbs, proxyClient } = this.#options;
    const api = new RemoteApi({ world, objects: verbs.objects, proxyClient }, service.spec);
    api.isAvailable = service.status.conditions?.some(({ type, status }) => type === 'Available' && status === 'True') ?? false;
    const followed: Followed = { api, openApi: new RemoteOpenApi(api, digest), timer: undefined, retryMs: firstRetryMs, documentsAt: -Infinity };
    this.#followed.set(name, followed);
    this.#byPlace.set(placeOf(service.spec), followed);
    this.#generation++;
    return followed;
  }

  async #writeCondition(service: APIService, condition: V1APIServiceCondition): Promise<void> {
    const conditions = service.status.conditions ?? [];
    const old = conditions.find(({ type }) => type === condition.type);
    if (old?.status === condition.status && old.reason === condition.reason && old.message === condition.message) return;
    const { clock } = this.#options.world;
    const since = old?.status === condition.status ? old.lastTransitionTime : undefined;
    const written = { ...condition, lastTransitionTime: since ?? timestamp(clock.now()) };
    const status = { ...service.status, conditions: [...conditions.filter((other) => other !== old), written] };
    await this.#call('update', service.metadata.name, { ...service, status }, 'status');
  }

  async #call(verb: RequestVerb, name: string | undefined, body: object | undefined, subresource?: string): Promise<void> {
    try {
      await askSelf(this.#options.verbs, verb, APIService, { name, body, subresource });
    } catch (error) {
      // Somebody else was quicker: that is an event, which leads here again.
      if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error;
    }
  }
}

function drop({ api, timer }: Followed): void {
  timer?.cancel();
  api.close();
}

function placeOf({ group = '', version = '' }: APIService['spec']): string {
  return `${group}/${version}`;
}

function nameOf(encoded: Encoded | undefined): string {
  const object: KubeObject | undefined = encoded?.object;
  return object?.metadata.name ?? '';
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').toUpperCase();
}
