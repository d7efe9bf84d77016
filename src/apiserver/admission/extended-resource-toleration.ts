/** ExtendedResourceToleration (off unless asked for): a pod that asks for `example.com/gpu` tolerates the taint of that name its nodes keep others off with. */
import { Pod } from '../../api/kinds.ts';
import { type AdmissionPlugin, concernsOnly, isWriteOf } from './admission.ts';

export const extendedResourceToleration: AdmissionPlugin = {
  name: 'ExtendedResourceToleration',
  concerns: concernsOnly(Pod),
  admit(request) {
    if (!isWriteOf(request, Pod, 'CREATE', 'UPDATE')) return;
    const spec = (request.object as Pod | undefined)?.spec;
    if (!spec) return;
    const names = new Set(
      [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ resources }) => Object.keys(resources?.requests ?? {})).filter(isExtended),
    );
    const own = spec.tolerations ?? [];
    const missing = [...names].filter(
      (key) => !own.some((toleration) => toleration.key === key && toleration.operator === 'Exists' && !toleration.effect),
    );
    if (missing.length > 0) spec.tolerations = [...own, ...missing.toSorted().map((key) => ({ key, operator: 'Exists' }))];
  },
};

function isExtended(name: string): boolean {
  return name.includes('/') && !name.split('/')[0]?.endsWith('kubernetes.io') && !name.startsWith('requests.');
}
