/** What of an update counts, by subresource: writing the object leaves its status alone, writing the status leaves the rest alone, and so on. */
import { validateObject, validateStatusUpdate } from '../../api/object-meta.ts';
import type { Kind } from '../../api/kind.ts';
import { clone } from '../../machinery/clone.ts';
import type { FieldError } from '../../machinery/field-error.ts';
import type { ObjectMeta } from '../../machinery/object.ts';
import type { Pod } from '../../api/kinds.ts';
import { validateEphemeralUpdate } from '../../api/pods/validate-ephemeral.ts';
import { validatePodResize } from '../../api/pods/validate-resize.ts';
import type { AnyObject } from '../registry/decoding.ts';

export interface UpdateStrategy {
  /** '' for the object itself. */
  readonly subresource: string;
  /** False where changing the object's content does not count as a new generation. */
  readonly countsGeneration: boolean;
  /** False for writes of the server's own, which leave no managed fields. */
  readonly tracked: boolean;
  /** What would be stored: a fresh object made of what of `desired` (which may be used up) counts and what of `live` (never to be changed) stays. */
  readonly merge: (desired: AnyObject, live: AnyObject, kind: Kind) => AnyObject;
  readonly validate: (kind: Kind, after: AnyObject, before: AnyObject) => FieldError[];
}

/** The object itself. */
export const wholeObject: UpdateStrategy = {
  subresource: '',
  countsGeneration: true,
  tracked: true,
  merge(desired, live, kind) {
    if (kind.subresources['status']) {
      if (live['status'] === undefined) delete desired['status'];
      else desired['status'] = clone(live['status']);
    }
    kind.prepareForUpdate?.(desired, live);
    return desired;
  },
  validate: (kind, after, before) => validateObject(kind, after, before),
};

/** `status`. Labels, annotations and finalizers of core objects may be written with it: kubelets and the keepers of load balancers do so. */
export const statusOnly: UpdateStrategy = {
  subresource: 'status',
  countsGeneration: false,
  tracked: true,
  merge(desired, live, kind) {
    const { labels, annotations, finalizers, managedFields, resourceVersion, uid } = desired.metadata;
    const metadata: ObjectMeta = { ...live.metadata, resourceVersion, ...(uid && { uid }) };
    assign(metadata, 'managedFields', managedFields);
    if (kind.group === '') {
      assign(metadata, 'labels', labels);
      assign(metadata, 'annotations', annotations);
      assign(metadata, 'finalizers', finalizers);
    }
    return { ...live, metadata, status: desired['status'] };
  },
  validate: (kind, after, before) => validateStatusUpdate(kind, after, before),
};

function assign<K extends keyof ObjectMeta>(metadata: ObjectMeta, field: K, value: ObjectMeta[K] | undefined): void {
  if (value === undefined) delete metadata[field];
  else metadata[field] = value;
}

/** `namespaces/finalize`: the namespace controller says what it is done with. */
export const namespaceFinalizers: UpdateStrategy = {
  subresource: 'finalize',
  countsGeneration: false,
  tracked: true,
  merge(desired, live) {
    const metadata = { ...live.metadata, resourceVersion: desired.metadata.resourceVersion };
    const finalizers = part(desired, 'spec')['finalizers'];
    return { ...live, metadata, spec: { ...part(live, 'spec'), finalizers } };
  },
  validate: (kind, after, before) => validateObject(kind, after, before),
};

/** `certificatesigningrequests/status`: the signer's part. Approving and denying is somebody else's. */
export const certificateStatus: UpdateStrategy = {
  ...statusOnly,
  merge(desired, live, kind) {
    const after = statusOnly.merge(desired, live, kind);
    return {
      ...after,
      status: { ...part(after, 'status'), conditions: mixedConditions(after, live, (type) => type === 'Approved' || type === 'Denied') },
    };
  },
};

/** `certificatesigningrequests/approval`: the conditions of who approves, and nothing else. */
export const approvalConditions: UpdateStrategy = {
  subresource: 'approval',
  countsGeneration: false,
  tracked: true,
  merge(desired, live) {
    const metadata = { ...live.metadata, resourceVersion: desired.metadata.resourceVersion };
    const conditions = mixedConditions(desired, live, (type) => type === 'Failed');
    return { ...live, metadata, status: { ...part(live, 'status'), conditions } };
  },
  validate: (kind, after, before) => validateStatusUpdate(kind, after, before),
};

/** The new conditions, but for those the writer has no say in, which stay as they are. */
function mixedConditions(desired: AnyObject, live: AnyObject, stays: (type: unknown) => boolean): readonly Fields[] | undefined {
  const conditionsOf = (object: AnyObject): readonly Fields[] => (part(object, 'status')['conditions'] ?? []) as readonly Fields[];
  const mixed = [...conditionsOf(live).filter(({ type }) => stays(type)), ...conditionsOf(desired).filter(({ type }) => !stays(type))];
  return mixed.length > 0 ? mixed : undefined;
}

/** `pods/ephemeralcontainers`: containers to debug with may be added to a running pod, never changed or removed. */
export const ephemeralContainers: UpdateStrategy = {
  subresource: 'ephemeralcontainers',
  countsGeneration: true,
  tracked: true,
  merge(desired, live) {
    const metadata = { ...live.metadata, resourceVersion: desired.metadata.resourceVersion };
    return { ...live, metadata, spec: { ...part(live, 'spec'), ephemeralContainers: part(desired, 'spec')['ephemeralContainers'] } };
  },
  validate: (_kind, after, before) => validateEphemeralUpdate(after as AnyObject & Pod, before as AnyObject & Pod),
};

/** `pods/resize`: resources of containers, and of the pod as a whole, while it runs. */
export const containerResources: UpdateStrategy = {
  subresource: 'resize',
  countsGeneration: true,
  tracked: true,
  merge(desired, live) {
    const metadata = { ...live.metadata, resourceVersion: desired.metadata.resourceVersion };
    const wanted = new Map(
      [...containersOf(desired, 'containers'), ...containersOf(desired, 'initContainers')].map((container) => [container['name'], container]),
    );
    const resized = (container: Fields): Fields => {
      const { resources, resizePolicy } = wanted.get(container['name']) ?? container;
      return { ...container, ...(resources !== undefined && { resources }), ...(resizePolicy !== undefined && { resizePolicy }) };
    };
    const { resources } = part(desired, 'spec');
    const spec: Fields = {
      ...part(live, 'spec'),
      containers: containersOf(live, 'containers').map(resized),
      ...(resources !== undefined && { resources }),
    };
    if (spec['initContainers'] !== undefined) spec['initContainers'] = containersOf(live, 'initContainers').map(resized);
    return { ...live, metadata, spec };
  },
  validate: (_kind, after, before) => validatePodResize(after as AnyObject & Pod, before as AnyObject & Pod),
};

type Fields = Readonly<Record<string, unknown>> & { [field: string]: unknown };

function part(object: Readonly<Record<string, unknown>>, field: string): Fields {
  return (object[field] ?? {}) as Fields;
}

function containersOf(object: AnyObject, field: string): readonly Fields[] {
  return (part(object, 'spec')[field] ?? []) as readonly Fields[];
}
