/** The official JavaScript client for a cluster under test, and the few things the conformance tests ask it again and again. */
import { KubeConfig, type V1Container, type V1ReplicationController } from '@kubernetes/client-node';
import { type ClusterUnderTest, eventually } from '../support/cluster-under-test.ts';

export function configOf(cluster: ClusterUnderTest): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  return config;
}

/** Waits until `ask` answers true. */
export async function until(what: string, ask: () => Promise<boolean>): Promise<void> {
  await eventually(what, async () => ((await ask()) ? true : undefined), 60_000);
}

export async function codeOf(promise: Promise<unknown>): Promise<number> {
  const error: unknown = await promise.then(
    () => ({ code: 200 }),
    (reason: unknown) => reason,
  );
  return error instanceof Error || (typeof error === 'object' && error !== null) ? Number(Reflect.get(error, 'code')) : 0;
}

export const container: V1Container = { name: 'nginx', image: 'registry.example/nginx:1' };

export function replicationController(name: string, replicas: number): V1ReplicationController {
  const labels = { name };
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: labels,
      template: { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container] } },
    },
  };
}
