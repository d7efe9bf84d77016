/** Priority: turns a pod's priority class into its number, and keeps the default class unique. */
import { Pod, PriorityClass } from '../../api/kinds.ts';
import { forbidden } from '../../machinery/errors.ts';
import type { Registry } from '../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, isWriteOf } from './admission.ts';

/** There before anything is bootstrapped, so that the control plane's own pods can always be made. */
const systemClasses: Readonly<Record<string, number>> = { 'system-cluster-critical': 2_000_000_000, 'system-node-critical': 2_000_001_000 };

interface Resolved {
  readonly name: string;
  readonly value: number;
  readonly preemptionPolicy: string;
}

export function priority(registry: Registry): AdmissionPlugin {
  return {
    name: 'Priority',
    admit(request) {
      if (!isWriteOf(request, Pod, 'CREATE')) return;
      const pod = request.object as Pod | undefined;
      if (!pod?.spec) return;
      const { spec } = pod;
      const resolved = resolve(registry, request, spec.priorityClassName ?? '');
      if (spec.priority !== undefined && spec.priority !== resolved.value) {
        const why = `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${resolved.value} from the given PriorityClass name`;
        throw forbidden(request.resource, request.name, why);
      }
      if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== resolved.preemptionPolicy) {
        const why = `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${resolved.preemptionPolicy} from the given PriorityClass name`;
        throw forbidden(request.resource, request.name, why);
      }
      if (resolved.name !== '') spec.priorityClassName = resolved.name;
      spec.priority = resolved.value;
      spec.preemptionPolicy = resolved.preemptionPolicy;
    },
    validate(request) {
      if (!isWriteOf(request, PriorityClass, 'CREATE', 'UPDATE')) return;
      const made = request.object as PriorityClass | undefined;
      if (made?.globalDefault !== true) return;
      const other = registry.list(PriorityClass).find((known) => known.globalDefault === true && known.metadata.name !== made.metadata.name);
      if (other)
        throw forbidden(
          request.resource,
          request.name,
          `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
        );
    },
  };
}

function resolve(registry: Registry, request: AdmissionRequest, name: string): Resolved {
  if (name === '') {
    const byDefault = lowest(registry.list(PriorityClass).filter((known) => known.globalDefault === true));
    return byDefault ? resolvedOf(byDefault) : { name: '', value: 0, preemptionPolicy: 'PreemptLowerPriority' };
  }
  const found = registry.get(PriorityClass, undefined, name);
  if (found) return resolvedOf(found);
  const value = systemClasses[name];
  if (value === undefined) throw forbidden(request.resource, request.name, `no PriorityClass with name ${name} was found`);
  return { name, value, preemptionPolicy: 'PreemptLowerPriority' };
}

function resolvedOf(found: PriorityClass): Resolved {
  return { name: found.metadata.name, value: found.value ?? 0, preemptionPolicy: found.preemptionPolicy ?? 'PreemptLowerPriority' };
}

/** Two defaults can be there for a moment when they are made at once. */
function lowest(classes: readonly PriorityClass[]): PriorityClass | undefined {
  return classes.reduce<PriorityClass | undefined>(
    (least, one) => (least === undefined || (one.value ?? 0) < (least.value ?? 0) ? one : least),
    undefined,
  );
}
