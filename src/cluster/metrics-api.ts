/**
 * The metrics API (`metrics.k8s.io/v1beta1`) as a part of the API server, which knows nothing of kubelets' figures, and of `metrics/`, which knows nothing of
 * the API server. Whoever installs metrics-server puts it in this one's place: its APIService names a Service, and requests go there.
 */
import type { ComputedKind } from '../apiserver/computed.ts';
import { ClusterRole, ClusterRoleBinding } from '../api/kinds.ts';
import { NodeMetrics, PodMetrics } from '../api/kinds/resource-metrics.ts';
import { apiVersionOf, type Kind } from '../api/kind.ts';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import { serviceUnavailable } from '../machinery/errors.ts';
import type { ReadingSource } from '../metrics/node-readings.ts';
import type { ResourceMetrics } from '../metrics/resource-metrics.ts';
import type { World } from '../world/world.ts';

export interface MetricsApiOptions {
  readonly world: World;
  /** Of {@link metricsUser}: asked for with the first question, when the API server is there. */
  readonly client: () => Client;
  readonly source: () => Promise<ReadingSource & { close?(): void }>;
}

export interface MetricsApi {
  readonly kinds: readonly ComputedKind[];
  close(): void;
}

/** Who reads nodes and pods for the metrics. */
export const metricsUser = 'system:serviceaccount:kube-system:metrics-server';

/** Nothing is loaded, and no node asked, before the first question. */
export function metricsApi({ world, client, source }: MetricsApiOptions): MetricsApi {
  let opening: Promise<ResourceMetrics> | undefined;
  let closed = false;
  let end = (): void => {};

  async function open(): Promise<ResourceMetrics> {
    const [{ ResourceMetrics: Metrics }, from] = await Promise.all([import('../metrics/resource-metrics.ts'), source()]);
    const metrics = new Metrics({ world, client: client(), source: from });
    end = () => {
      metrics.close();
      from.close?.();
    };
    if (closed) end();
    return metrics;
  }
  async function ask(): Promise<ResourceMetrics> {
    if (closed) throw serviceUnavailable('the server is shutting down');
    return (opening ??= open());
  }

  const nodes: ComputedKind<NodeMetrics> = { kind: NodeMetrics, read: async (_, name) => (await ask()).nodes(name) };
  const pods: ComputedKind<PodMetrics> = { kind: PodMetrics, read: async (namespace, name) => (await ask()).pods(namespace, name) };
  return {
    kinds: [nodes, pods],
    close() {
      closed = true;
      end();
    },
  };
}

/** Who may read the metrics (whoever may read pods), and what they are read with: the roles that metrics-server comes with. */
export async function installMetricsRoles(client: Client): Promise<void> {
  const apply = async (kind: Kind, name: string, body: object, labels: Record<string, string> = {}): Promise<void> => {
    const object = {
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: { name, labels: { 'k8s-app': 'metrics-server', ...labels } },
      ...body,
    };
    await client.resource<KubeObject>(kind).patch(name, object, { type: 'apply', fieldManager: 'k8ts', force: true });
  };
  const aggregated = ['admin', 'edit', 'view'].map((role) => [`rbac.authorization.k8s.io/aggregate-to-${role}`, 'true'] as const);
  const [, , namespace, name] = metricsUser.split(':');
  await Promise.all([
    apply(
      ClusterRole,
      'system:aggregated-metrics-reader',
      { rules: [{ apiGroups: ['metrics.k8s.io'], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] }] },
      Object.fromEntries(aggregated),
    ),
    apply(ClusterRole, 'system:metrics-server', {
      rules: [
        { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] },
      ],
    }),
    apply(ClusterRoleBinding, 'system:metrics-server', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:metrics-server' },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    }),
  ]);
}
