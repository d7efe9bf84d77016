/** Pod (core/v1): containers that run together on a node. Its parts are in `pods/`. */
import { defineKind, proxySubresource, statusSubresource } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import { podWarnings } from '../pods/warnings.ts';
import { podColumns } from '../pods/columns.ts';
import { defaultPod } from '../pods/defaults.ts';
import { qosClassOf } from '../pods/qos.ts';
import { validateNewPod, validatePodStatus, validatePodUpdate } from '../pods/validate-pod.ts';
import type { V1Pod } from '../types.ts';

export type Pod = V1Pod;

export const Pod: Kind<V1Pod> = defineKind<V1Pod>({
  kind: 'Pod',
  resource: 'pods',
  model: 'V1Pod',
  shortNames: ['po'],
  categories: ['all'],
  generation: true,
  subresources: {
    attach: { verbs: ['create', 'get'], body: { group: '', version: 'v1', kind: 'PodAttachOptions' } },
    binding: { verbs: ['create'], body: { group: '', version: 'v1', kind: 'Binding' } },
    ephemeralcontainers: { verbs: ['get', 'patch', 'update'] },
    eviction: { verbs: ['create'], body: { group: 'policy', version: 'v1', kind: 'Eviction' } },
    exec: { verbs: ['create', 'get'], body: { group: '', version: 'v1', kind: 'PodExecOptions' } },
    log: { verbs: ['get'] },
    portforward: { verbs: ['create', 'get'], body: { group: '', version: 'v1', kind: 'PodPortForwardOptions' } },
    proxy: proxySubresource('PodProxyOptions'),
    resize: { verbs: ['get', 'patch', 'update'] },
    status: statusSubresource,
  },
  defaults: defaultPod,
  prepareForCreate(pod) {
    pod.status = { phase: 'Pending', qosClass: qosClassOf(pod.spec) };
    if ((pod.spec.schedulingGates ?? []).length > 0) {
      const message = 'Scheduling is blocked due to non-empty scheduling gates';
      pod.status.conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message }];
    }
  },
  validate: (pod, old) => (old === undefined ? validateNewPod(pod) : validatePodUpdate(pod, old)),
  warnings: podWarnings,
  validateStatus: validatePodStatus,
  selectableFields: {
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
    'spec.restartPolicy': ({ spec }) => spec.restartPolicy ?? '',
    'spec.schedulerName': ({ spec }) => spec.schedulerName ?? '',
    'spec.serviceAccountName': ({ spec }) => spec.serviceAccountName ?? '',
    'spec.hostNetwork': ({ spec }) => String(spec.hostNetwork ?? false),
    'status.phase': ({ status }) => status.phase ?? '',
    'status.podIP': ({ status }) => status.podIPs?.[0]?.ip ?? status.podIP ?? '',
    'status.nominatedNodeName': ({ status }) => status.nominatedNodeName ?? '',
  },
  columns: podColumns,
  gracefulDeletion({ spec, status }) {
    const nobodyRunsIt = spec.nodeName === undefined || spec.nodeName === '' || status.phase === 'Failed' || status.phase === 'Succeeded';
    return nobodyRunsIt ? 0 : (spec.terminationGracePeriodSeconds ?? 30);
  },
});
