/** DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached, unless it says otherwise. */
import { Pod } from '../../api/kinds.ts';
import type { V1Toleration } from '../../api/types.ts';
import { deepFreeze } from '../../machinery/clone.ts';
import { type AdmissionPlugin, isWriteOf } from './admission.ts';

const defaultSeconds = 300;
/** One of each for all pods: whole, so that no default is filled in later. */
const added: readonly (V1Toleration & { readonly key: string })[] = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) =>
  deepFreeze({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: defaultSeconds }),
);

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit(request) {
    if (!isWriteOf(request, Pod, 'CREATE', 'UPDATE')) return;
    const pod = request.object as Pod | undefined;
    if (!pod?.spec) return;
    const missing = missingTolerations(pod.spec.tolerations ?? []);
    if (missing.length > 0) pod.spec.tolerations = [...(pod.spec.tolerations ?? []), ...missing];
  },
};

export function missingTolerations(tolerations: readonly V1Toleration[]): V1Toleration[] {
  return added.filter(
    ({ key }) =>
      !tolerations.some((toleration) => (toleration.key === key || !toleration.key) && (toleration.effect === 'NoExecute' || !toleration.effect)),
  );
}
