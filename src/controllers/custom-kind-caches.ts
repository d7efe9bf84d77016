/** Caches of custom kinds, which come and go with their definitions: each has informers of its own. */
import type { Kind } from '../api/kind.ts';
import { CustomResourceDefinition } from '../api/kinds.ts';
import type { InformerHandler, Informers } from '../client/informer.ts';
import { createInformers } from '../client/informers.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ControllerContext } from './controller.ts';
import { kindOfDefinition } from './custom-kinds.ts';

export interface CustomKindCaches {
  /** Looks again at which kinds are wanted. */
  review(): void;
}

/** `handlerFor` is asked for each kind that is served; without a handler the kind is not followed. `gone` is told when a kind followed is no longer. */
export function followCustomKinds(
  context: ControllerContext,
  handlerFor: (kind: Kind) => InformerHandler<KubeObject> | undefined,
  gone: (kind: Pick<Kind, 'group' | 'kind'>) => void = () => undefined,
): CustomKindCaches {
  const followed = new Map<string, { readonly served: string; readonly informers: Informers }>();

  function drop({ metadata, spec }: CustomResourceDefinition): void {
    const cache = followed.get(metadata.name);
    if (!cache) return;
    cache.informers.close();
    followed.delete(metadata.name);
    gone({ group: spec.group, kind: spec.names.kind });
  }

  function follow(definition: CustomResourceDefinition): void {
    const kind = context.signal.aborted ? undefined : kindOfDefinition(definition);
    const handler = kind && handlerFor(kind);
    const served = handler && `${kind.version}/${kind.resource}/${kind.namespaced}`;
    if (followed.get(definition.metadata.name)?.served === served) return;
    drop(definition);
    if (!handler || served === undefined) return;
    const informers = createInformers(context.client, context.world);
    followed.set(definition.metadata.name, { served, informers });
    informers.of(kind).subscribe(handler);
  }

  const definitions = context.watch(CustomResourceDefinition, { added: follow, updated: follow, deleted: drop });
  context.signal.addEventListener('abort', () => {
    for (const { informers } of followed.values()) informers.close();
    followed.clear();
  });
  return { review: () => definitions.list().forEach(follow) };
}
