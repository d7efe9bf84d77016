/** RuntimeClass: a pod that names one gets its overhead, and its node selector and tolerations. https://kubernetes.io/docs/concepts/containers/runtime-class/ */
import { Pod, RuntimeClass } from '../../api/kinds.ts';
import type { V1PodSpec, V1Scheduling } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { forbidden } from '../../machinery/errors.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly, isWriteOf } from './admission.ts';

export function runtimeClass(registry: Registry): AdmissionPlugin {
  const find = (request: AdmissionRequest, { runtimeClassName }: V1PodSpec): RuntimeClass | undefined => {
    if (runtimeClassName === undefined) return undefined;
    const found = registry.get(RuntimeClass, undefined, runtimeClassName);
    if (!found) throw forbidden(request.resource, request.name, `pod rejected: RuntimeClass ${JSON.stringify(runtimeClassName)} not found`);
    return found;
  };
  return {
    name: 'RuntimeClass',
    concerns: concernsOnly(Pod),
    admit(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const spec = (request.object as Pod | undefined)?.spec;
      if (!spec) return;
      const found = find(request, spec);
      if (!found) return;
      const overhead = found.overhead?.podFixed;
      if (overhead !== undefined) {
        if (spec.overhead !== undefined && !sameAmounts(spec.overhead, overhead)) {
          const why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
          throw forbidden(request.resource, request.name, why);
        }
        spec.overhead = { ...overhead };
      }
      if (found.scheduling) applyScheduling(request, spec, found.scheduling);
    },
    validate(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const spec = (request.object as Pod | undefined)?.spec;
      if (!spec) return;
      const overhead = find(request, spec)?.overhead?.podFixed;
      if (spec.overhead === undefined || Object.keys(spec.overhead).length === 0) return;
      if (overhead === undefined) {
        throw forbidden(request.resource, request.name, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      }
      if (!sameAmounts(spec.overhead, overhead)) {
        const why = `pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead`;
        throw forbidden(request.resource, request.name, why);
      }
    },
  };
}

function sameAmounts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => parseQuantity(a[name] ?? '0').compare(parseQuantity(b[name] ?? '0')) === 0);
}

function applyScheduling(request: AdmissionRequest, spec: V1PodSpec, { nodeSelector = {}, tolerations = [] }: V1Scheduling): void {
  for (const [key, value] of Object.entries(nodeSelector)) {
    const own = spec.nodeSelector?.[key];
    if (own !== undefined && own !== value) {
      const why = `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`;
      throw forbidden(request.resource, request.name, why);
    }
    (spec.nodeSelector ??= {})[key] = value;
  }
  const own = spec.tolerations ?? [];
  const missing = tolerations.filter((toleration) => !own.some((known) => equal(known, toleration)));
  if (missing.length > 0) spec.tolerations = [...own, ...missing.map((toleration) => ({ ...toleration }))];
}
