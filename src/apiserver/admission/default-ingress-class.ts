/** DefaultIngressClass: an ingress that names no class gets the cluster's default one. */
import { Ingress, IngressClass } from '../../api/kinds.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, concernsOnly, isWriteOf } from './admission.ts';

export function defaultIngressClass(registry: Registry): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    concerns: concernsOnly(Ingress),
    admit(request) {
      if (!isWriteOf(request, Ingress, 'CREATE')) return;
      const ingress = request.object as Ingress | undefined;
      if (!ingress?.spec || ingress.spec.ingressClassName !== undefined) return;
      if (ingress.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
      const chosen = defaultOf(registry.list(IngressClass), ['ingressclass.kubernetes.io/is-default-class']);
      if (chosen) ingress.spec.ingressClassName = chosen.metadata.name;
    },
  };
}

/** The object marked as the default by one of the annotations; of several the newest, then the first by name. */
export function defaultOf<T extends KubeObject>(objects: readonly T[], annotations: readonly string[]): T | undefined {
  return objects
    .filter(({ metadata }) => annotations.some((annotation) => metadata.annotations?.[annotation] === 'true'))
    .toSorted((a, b) => compare(b.metadata.creationTimestamp, a.metadata.creationTimestamp) || compare(a.metadata.name, b.metadata.name))[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
