/**
 * Follows the definitions: serves what they establish the moment it is, writes how they fare into their status, and empties those that are being deleted
 * before it lets them go. Upstream's apiextensions API server and its controllers.
 */
import { CustomResourceDefinition } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Entry } from '../registry/encoding.ts';
import { customServedKind, type ServedKind } from '../registry/served-kind.ts';
import type { User } from '../request.ts';
import { commitDelete, commitObject } from '../verbs/commit.ts';
import { removeOrMark } from '../verbs/delete.ts';
import type { ObjectCall, Storage } from '../verbs/storage.ts';
import { ConversionWebhook } from './conversion-webhook.ts';
import { hasAllNames, isEstablished, statusOf } from './conditions.ts';
import { servingsOf, storageVersionOf } from './custom-kind.ts';

const cleanup = 'customresourcecleanup.apiextensions.k8s.io';

const self: User = { name: 'system:apiserver', uid: '', groups: ['system:masters'], extra: {} };

/** Enough to fill the store's batches, few enough not to keep other writers waiting. */
const deletedAtOnce = 64;

interface Serving {
  /** What of the definition decides what is served. */
  readonly fingerprint: string;
  readonly generation: number;
  readonly schemaRevision: number;
}

export class CustomResources {
  readonly #storage: Storage;
  readonly #definitions: ServedKind;
  readonly #serving = new Map<string, Serving>();
  /** Definitions being looked after now; true when there is more to do after that. */
  readonly #busy = new Map<string, boolean>();
  readonly #running = new Set<Promise<void>>();
  /** Storage prefixes whose objects are followed to the last. */
  readonly #followed = new Set<string>();
  readonly #stop = new AbortController();

  constructor(storage: Storage) {
    this.#storage = storage;
    this.#definitions = storage.registry.servedKind(CustomResourceDefinition);
  }

  /** Serves what is established already, before anyone asks. */
  start(): void {
    const { cache } = this.#definitions;
    for (const entry of cache.list()) this.#serve(entry);
    cache.onEvent(({ current, previous }) => {
      if (this.#stop.signal.aborted) return;
      if (current) this.#changed(current);
      else if (previous) this.#gone(previous);
    });
    for (const { name } of cache.list()) this.#lookAfter(name);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #changed(entry: Entry): void {
    this.#serve(entry);
    this.#lookAfter(entry.name);
    this.#lookAfterOthers(entry);
  }

  #gone(entry: Entry): void {
    if (this.#serving.delete(entry.name)) this.#storage.registry.serveCustom(entry.name, []);
    this.#lookAfterOthers(entry);
  }

  /** Names this one had may be what others of the group wait for. */
  #lookAfterOthers(entry: Entry): void {
    for (const other of this.#othersOf(entry)) if (!hasAllNames(other)) this.#lookAfter(other.metadata.name);
  }

  #othersOf(entry: Entry): CustomResourceDefinition[] {
    const { group } = (entry.object as CustomResourceDefinition).spec;
    return this.#definitions.cache
      .list()
      .flatMap(({ name, object }) =>
        name !== entry.name && (object as CustomResourceDefinition).spec.group === group ? [object as CustomResourceDefinition] : [],
      );
  }

  #serve({ name, object, revision }: Entry): void {
    const definition = object as CustomResourceDefinition;
    if (!isEstablished(definition)) return;
    const generation = definition.metadata.generation ?? 0;
    const known = this.#serving.get(name);
    // Objects written since the schema last changed are as it wants them. Marking a definition for deletion counts as a generation, and only that.
    const schemaRevision = known?.generation === generation ? known.schemaRevision : revision;
    const fingerprint = `${definition.metadata.uid} ${generation} ${definition.metadata.deletionTimestamp ?? ''}`;
    if (known?.fingerprint === fingerprint) return;
    this.#serving.set(name, { fingerprint, generation, schemaRevision });
    this.#storage.registry.serveCustom(
      name,
      servingsOf(definition, schemaRevision, (conversion) => new ConversionWebhook(this.#storage.world, this.#storage.registry, conversion)),
    );
  }

  // ---- looking after definitions, each by itself

  #lookAfter(name: string): void {
    if (this.#stop.signal.aborted) return;
    if (this.#busy.has(name)) {
      this.#busy.set(name, true);
      return;
    }
    this.#busy.set(name, false);
    const run = this.#reconcileUntilDone(name).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #reconcileUntilDone(name: string): Promise<void> {
    // Not within the event that led here: the store is in the middle of telling everyone.
    await Promise.resolve();
    try {
      do {
        this.#busy.set(name, false);
        await this.#reconcile(name);
      } while (this.#busy.get(name) === true && !this.#stop.signal.aborted);
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      if (!this.#stop.signal.aborted) this.#storage.world.log.error('a custom resource definition could not be looked after', { name, error: text });
    } finally {
      this.#busy.delete(name);
    }
  }

  async #reconcile(name: string): Promise<void> {
    const entry = this.#definitions.cache.get(name);
    if (!entry) return;
    const definition = entry.object as CustomResourceDefinition;
    const now = timestamp(this.#storage.world.clock.now());
    const status = statusOf(definition, this.#othersOf(entry), now);
    if (!equal(status, definition.status)) {
      // Whoever was faster caused another event, which leads here again; so does this write itself.
      await this.#write(entry, { ...definition, status });
      return;
    }
    if (definition.metadata.deletionTimestamp !== undefined && definition.metadata.finalizers?.includes(cleanup) === true) {
      if (await this.#emptied(definition)) await this.#release(entry);
    }
  }

  /** Asks all objects of the definition to go; true when none is left. */
  async #emptied(definition: CustomResourceDefinition): Promise<boolean> {
    const { registry } = this.#storage;
    const stored = storedKindOf(definition);
    const cache = registry.customCache(stored);
    if (!this.#followed.has(cache.prefix)) {
      this.#followed.add(cache.prefix);
      const { name } = definition.metadata;
      cache.onEvent(({ current }) => {
        if (!current && cache.list().length === 0 && this.#definitions.cache.get(name)?.object.metadata.deletionTimestamp !== undefined)
          this.#lookAfter(name);
      });
    }
    const served = customServedKind({ kind: stored, stored, show: (object) => object, schemaRevision: 0 }, cache);
    const leaving = cache.list().filter(({ object }) => object.metadata.deletionTimestamp === undefined);
    for (let start = 0; start < leaving.length && !this.#stop.signal.aborted; start += deletedAtOnce) {
      await Promise.all(leaving.slice(start, start + deletedAtOnce).map((entry) => this.#deleteInstance(served, entry)));
    }
    return cache.list().length === 0;
  }

  async #deleteInstance(served: ServedKind, entry: Entry): Promise<void> {
    const call: ObjectCall = {
      verb: 'delete',
      target: {
        group: served.kind.group,
        version: served.kind.version,
        namespace: entry.namespace,
        resource: served.kind.resource,
        name: entry.name,
        subresource: undefined,
        rest: '',
      },
      user: self,
      query: new URLSearchParams(),
      body: undefined,
      contentType: 'application/json',
      userAgent: self.name,
      signal: this.#stop.signal,
      warnings: [],
      served,
    };
    const options = {
      gracePeriodSeconds: undefined,
      propagationPolicy: undefined,
      dryRun: false,
      preconditions: { uid: undefined, resourceVersion: undefined },
    };
    try {
      await removeOrMark(this.#storage, call, entry, options);
    } catch (error) {
      // Someone else deleted it: what was wanted holds.
      if (!isReason(error, 'NotFound')) throw error;
    }
  }

  /** Nothing of the definition is left: it may go. */
  async #release(entry: Entry): Promise<void> {
    const { object } = entry;
    const finalizers = (object.metadata.finalizers ?? []).filter((name) => name !== cleanup);
    if (finalizers.length === 0) await commitDelete(this.#storage, this.#definitions, entry);
    else await this.#write(entry, { ...object, metadata: { ...object.metadata, finalizers } });
  }

  async #write(entry: Entry, object: object): Promise<void> {
    await commitObject(this.#storage, this.#definitions, entry.path, object as AnyObject, entry);
  }
}

/** As much of the kind as finding and deleting its objects needs. */
function storedKindOf(definition: CustomResourceDefinition): Kind {
  const { group, names, scope } = definition.spec;
  return {
    group,
    version: storageVersionOf(definition),
    kind: names.kind,
    resource: names.plural,
    singular: names.singular ?? '',
    shortNames: [],
    categories: [],
    namespaced: scope === 'Namespaced',
    verbs: ['delete'],
    schema: { type: 'object', name: '', properties: {}, mapType: 'granular', preserveUnknown: true },
    subresources: {},
    nameRule: 'dns-subdomain',
    generation: true,
    selectableFields: {},
    columns: [],
  };
}
