/**
 * The caches of many kubelets in one process: each sees its own pods and its own Node, as with watches of its own, out of one cache for all. Thousands
 * of simulated nodes then cost the API server three watches instead of thousands.
 */
import type { Kind } from '../../api/kind.ts';
import { Node, Pod } from '../../api/kinds.ts';
import type { Informer, InformerHandler, Informers, InformerScope } from '../../client/informer.ts';
import type { KubeObject } from '../../machinery/object.ts';

export interface NodeCaches {
  /** What the kubelet of the node gets as its informers. */
  of(nodeName: string): Informers;
  close(): void;
}

export function sharedNodeCaches(shared: Informers): NodeCaches {
  const pods = new Split(shared.of(Pod), (pod) => pod.spec.nodeName ?? '');
  const nodes = new Split(shared.of(Node), (node) => node.metadata.name);
  return {
    of(nodeName) {
      return {
        of<T extends KubeObject>(kind: Kind<T>, scope: InformerScope = {}): Informer<T> {
          // Which part is asked for follows from the kind, and so does T.
          if (kind.kind === Pod.kind && scope.fieldSelector === `spec.nodeName=${nodeName}`)
            return pods.part(nodeName) as Informer<KubeObject> as Informer<T>;
          if (kind.kind === Node.kind && scope.fieldSelector === `metadata.name=${nodeName}`)
            return nodes.part(nodeName) as Informer<KubeObject> as Informer<T>;
          return shared.of(kind, scope);
        },
        synced: () => shared.synced(),
        close: () => undefined,
      };
    },
    close() {
      pods.close();
      nodes.close();
    },
  };
}

/** One cache, told apart by a name that each object carries; an object may get one, but does not change from one to another. */
class Split<T extends KubeObject> {
  readonly #whole: Informer<T>;
  readonly #handlers = new Map<string, Set<InformerHandler<T>>>();
  readonly #nameOf: (object: T) => string;
  readonly #unsubscribe: () => void;

  constructor(whole: Informer<T>, nameOf: (object: T) => string) {
    this.#whole = whole;
    this.#nameOf = nameOf;
    whole.addIndex('node', (object) => [nameOf(object)]);
    this.#unsubscribe = whole.subscribe({
      added: (object) => this.#tell(object, (handler) => handler.added?.(object)),
      updated: (object, old) =>
        this.#tell(object, (handler) => {
          if (nameOf(old) === nameOf(object)) handler.updated?.(object, old);
          else handler.added?.(object);
        }),
      deleted: (object) => this.#tell(object, (handler) => handler.deleted?.(object)),
    });
  }

  part(name: string): Informer<T> {
    const whole = this.#whole;
    const ofPart = (): readonly T[] => whole.byIndex('node', name);
    return {
      kind: whole.kind,
      synced: whole.synced,
      hasSynced: () => whole.hasSynced(),
      get: (object, namespace) => {
        const found = whole.get(object, namespace);
        return found !== undefined && this.#nameOf(found) === name ? found : undefined;
      },
      list: (namespace) => (namespace === undefined ? ofPart() : ofPart().filter(({ metadata }) => metadata.namespace === namespace)),
      addIndex() {
        throw new Error('the caches of simulated nodes are shared: they take no further index');
      },
      byIndex: (index, value) => whole.byIndex(index, value).filter((object) => this.#nameOf(object) === name),
      subscribe: (handler) => {
        const handlers = this.#handlers.get(name) ?? new Set();
        this.#handlers.set(name, handlers);
        handlers.add(handler);
        for (const object of ofPart()) handler.added?.(object);
        return () => {
          if (handlers.delete(handler) && handlers.size === 0) this.#handlers.delete(name);
        };
      },
    };
  }

  close(): void {
    this.#unsubscribe();
  }

  #tell(object: T, tell: (handler: InformerHandler<T>) => void): void {
    const handlers = this.#handlers.get(this.#nameOf(object));
    if (handlers) for (const handler of handlers) tell(handler);
  }
}
