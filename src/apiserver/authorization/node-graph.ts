/**
 * Which objects a node has to do with: those its pods refer to, and the volumes behind their claims. Upstream's node authorizer keeps one graph of
 * everything; here a node's part is counted up from its pods when it first asks, and then kept up with a few counters per change of a pod.
 */
import { Node, PersistentVolume, PersistentVolumeClaim, Pod, ResourceSlice, VolumeAttachment } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { Encoded } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import type { Attributes } from './authorizer.ts';
import { type ReferenceKind, referenceOf, visitPodReferences, volumeNeedsSecret } from './pod-references.ts';

/** Where pods are read from. */
export interface NodeGraphSources {
  readonly objects: ObjectReader;
  podsOn(nodeName: string): readonly Pod[];
  /** Calls with the state after and before every change of an object of the kind; undefined for absent. */
  observe(kind: Kind, listener: (current: Encoded | undefined, previous: Encoded | undefined) => void): void;
}

const referenceKinds: Readonly<Record<string, ReferenceKind>> = {
  '/secrets': 'secret',
  '/configmaps': 'configmap',
  '/persistentvolumeclaims': 'claim',
  '/serviceaccounts': 'serviceaccount',
  'resource.k8s.io/resourceclaims': 'resourceclaim',
};

export class NodeGraph {
  private readonly sources: NodeGraphSources;
  /** How often each object is referred to, by node; only nodes that asked. */
  private readonly references = new Map<string, Map<string, number>>();

  constructor(sources: NodeGraphSources) {
    this.sources = sources;
    sources.observe(Pod, (current, previous) => {
      if (this.references.size === 0) return;
      if (previous !== undefined) this.count(previous, -1);
      if (current !== undefined) this.count(current, 1);
    });
    sources.observe(Node, (current, previous) => {
      if (current === undefined && previous !== undefined) this.references.delete(previous.object.metadata.name ?? '');
    });
  }

  /** Whether the object the request names is one the node's pods need. */
  isRelated(nodeName: string, { group, resource, namespace, name }: Attributes): boolean {
    const { objects } = this.sources;
    switch (`${group}/${resource}`) {
      case '/pods': {
        const pod = objects.get(Pod, namespace, name);
        // One that is gone may be asked for: the answer is that it is gone.
        return pod === undefined || pod.spec.nodeName === nodeName;
      }
      case '/persistentvolumes':
        return this.mounts(nodeName, objects.get(PersistentVolume, undefined, name));
      case 'storage.k8s.io/volumeattachments':
        return objects.get(VolumeAttachment, undefined, name)?.spec.nodeName === nodeName;
      case 'resource.k8s.io/resourceslices':
        return objects.get(ResourceSlice, undefined, name)?.spec.nodeName === nodeName;
      case '/secrets':
        return this.refersTo(nodeName, 'secret', namespace, name) || this.volumeRefersTo(nodeName, namespace, name);
      default: {
        const kind = referenceKinds[`${group}/${resource}`];
        return kind !== undefined && this.refersTo(nodeName, kind, namespace, name);
      }
    }
  }

  private refersTo(nodeName: string, kind: ReferenceKind, namespace: string, name: string): boolean {
    return this.of(nodeName).has(referenceOf(kind, namespace, name));
  }

  private mounts(nodeName: string, volume: PersistentVolume | undefined): boolean {
    const claim = volume?.spec.claimRef;
    return claim?.name !== undefined && this.refersTo(nodeName, 'claim', claim.namespace ?? '', claim.name);
  }

  /** The secrets of volumes are few, and asked for seldom: found by looking at the node's claims. */
  private volumeRefersTo(nodeName: string, namespace: string, name: string): boolean {
    const { objects } = this.sources;
    for (const reference of this.of(nodeName).keys()) {
      if (!reference.startsWith('claim:')) continue;
      const [claimNamespace = '', claimName = ''] = reference.slice('claim:'.length).split('/');
      const volumeName = objects.get(PersistentVolumeClaim, claimNamespace, claimName)?.spec.volumeName;
      const volume = volumeName === undefined ? undefined : objects.get(PersistentVolume, undefined, volumeName);
      if (volume !== undefined && this.mounts(nodeName, volume) && volumeNeedsSecret(volume, namespace, name)) return true;
    }
    return false;
  }

  private of(nodeName: string): Map<string, number> {
    let counts = this.references.get(nodeName);
    if (counts === undefined) {
      counts = new Map();
      for (const pod of this.sources.podsOn(nodeName)) add(counts, pod, 1);
      this.references.set(nodeName, counts);
    }
    return counts;
  }

  private count({ object }: Encoded, by: 1 | -1): void {
    // Only pods are observed.
    const pod = object as Pod;
    const counts = pod.spec.nodeName === undefined ? undefined : this.references.get(pod.spec.nodeName);
    if (counts !== undefined) add(counts, pod, by);
  }
}

function add(counts: Map<string, number>, pod: Pod, by: 1 | -1): void {
  visitPodReferences(pod, (reference) => {
    const count = (counts.get(reference) ?? 0) + by;
    if (count > 0) counts.set(reference, count);
    else counts.delete(reference);
  });
}
