/** `/metrics` and `/metrics/probes`: the kubelet about itself. See https://kubernetes.io/docs/reference/instrumentation/metrics/ */
import type { Pod } from '../../api/kinds.ts';
import { Exposition } from '../../machinery/exposition.ts';
import type { Container, Sandbox } from '../runtime/runtime.ts';
import type { KubeletCounters } from './kubelet-counters.ts';

export interface KubeletState {
  readonly nodeName: string;
  readonly startedMs: number;
  readonly pods: readonly Pod[];
  readonly sandboxes: readonly Sandbox[];
  readonly containers: readonly Container[];
}

export function kubeletMetrics({ nodeName, startedMs, pods, sandboxes, containers }: KubeletState, counters: KubeletCounters): string {
  const text = new Exposition();
  text.family('kubelet_node_name', 'gauge', "[ALPHA] The node's name. The count is always 1.").sample({ node: nodeName }, 1);
  text.family('kubelet_running_pods', 'gauge', '[BETA] Number of pods that have a running pod sandbox');
  text.sample({}, sandboxes.filter(({ ready }) => ready).length);
  text.family('kubelet_running_containers', 'gauge', '[BETA] Number of containers currently running');
  for (const [state, entries] of Map.groupBy(containers, (container) => container.state)) text.sample({ container_state: state }, entries.length);
  text.family(
    'kubelet_desired_pods',
    'gauge',
    '[ALPHA] The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.',
  );
  const fromFiles = pods.filter(({ metadata }) => metadata.annotations?.['kubernetes.io/config.source'] === 'file').length;
  text.sample({ static: '' }, pods.length - fromFiles).sample({ static: 'true' }, fromFiles);
  text.family(
    'kubelet_restarted_pods_total',
    'counter',
    '[ALPHA] Number of pods that have been restarted because they were deleted and recreated with the same UID while the kubelet was watching them',
  );
  text.sample({ static: '' }, 0);

  text.family(
    'kubelet_pod_start_duration_seconds',
    'histogram',
    '[BETA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
  );
  text.distribution({}, counters.podStarts);
  text.family(
    'kubelet_pod_start_total_duration_seconds',
    'histogram',
    '[ALPHA] Duration in seconds to start a pod since creation, including time to pull images and run init containers',
  );
  text.distribution({}, counters.podStartsSinceCreation);

  text.family('kubelet_runtime_operations_total', 'counter', '[ALPHA] Cumulative number of runtime operations by operation type.');
  for (const [name, { total }] of counters.operations) text.sample({ operation_type: name }, total);
  text.family('kubelet_runtime_operations_errors_total', 'counter', '[ALPHA] Cumulative number of runtime operation errors by operation type.');
  for (const [name, { errors }] of counters.operations) text.sample({ operation_type: name }, errors);
  text.family(
    'kubelet_runtime_operations_duration_seconds',
    'histogram',
    '[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.',
  );
  for (const [name, { seconds }] of counters.operations) text.distribution({ operation_type: name }, seconds);

  text.family('kubelet_evictions', 'counter', '[ALPHA] Cumulative number of pod evictions by eviction signal');
  for (const [signal, count] of counters.evictions) text.sample({ eviction_signal: signal }, count);

  text.family('process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds.').sample({}, startedMs / 1000);
  text.family('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.').sample({}, process.memoryUsage.rss());
  const { user, system } = process.cpuUsage();
  text.family('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.').sample({}, (user + system) / 1e6);
  return text.text();
}

export function probeMetrics(counters: KubeletCounters): string {
  const text = new Exposition();
  text.family('prober_probe_total', 'counter', '[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.');
  for (const { probed, probe, result, total } of counters.probes.values()) {
    const { container, namespace, pod, podUid } = probed;
    text.sample({ container, namespace, pod, pod_uid: podUid, probe_type: probe.charAt(0).toUpperCase() + probe.slice(1), result }, total);
  }
  return text.text();
}
