/** A cluster of simulated nodes on a virtual clock for one conformance behaviour, and the words in which those tests speak of it. */
import type { Kind } from '../../src/api/kind.ts';
import { type Client, type ClusterOptions, type Draft, isReason, type KubeObject, Pod, startCluster, type VirtualCluster } from '../../src/index.ts';

export const namespace = 'default';

/** `what`: how many nodes, or more about the cluster. */
export async function withCluster(what: number | ClusterOptions, run: (cluster: VirtualCluster) => Promise<void>): Promise<void> {
  const cluster = await startCluster({ ...(typeof what === 'number' ? { nodes: what } : what), clock: 'virtual' });
  try {
    await run(cluster);
  } finally {
    await cluster.close();
  }
}

export function inDefault<T extends KubeObject>({ client }: { readonly client: Client }, kind: Kind<T>) {
  return client.resource(kind).namespace(namespace);
}

export async function podsOf(cluster: VirtualCluster, labelSelector: string): Promise<readonly Pod[]> {
  return (await inDefault(cluster, Pod).list({ labelSelector })).items;
}

export function isReady(pod: Pod): boolean {
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** So many pods with these labels, all ready and none on its way out. */
export async function untilReady(cluster: VirtualCluster, labelSelector: string, count: number): Promise<readonly Pod[]> {
  return cluster.until(
    async () => {
      const pods = await podsOf(cluster, labelSelector);
      return pods.length === count && pods.every((pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined) && pods;
    },
    { what: `${count} pods with ${labelSelector} are ready`, timeout: '5m' },
  );
}

export async function untilGone<T extends KubeObject>(cluster: VirtualCluster, kind: Kind<T>, name: string): Promise<void> {
  await cluster.until(() => isGone(inDefault(cluster, kind).get(name)), { what: `${kind.singular} ${name} is gone`, timeout: '5m' });
}

export async function isGone(reading: Promise<unknown>): Promise<boolean> {
  try {
    await reading;
    return false;
  } catch (error) {
    if (isReason(error, 'NotFound')) return true;
    throw error;
  }
}

/** The name of the controller that owns it; undefined when none does. */
export function controllerOf({ metadata }: KubeObject): string | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true)?.name;
}

export function podTemplate(labels: Record<string, string>, image = 'app:1', spec: Partial<Pod['spec']> = {}): Draft<Pod> {
  return { metadata: { labels }, spec: { containers: [{ name: 'main', image }], ...spec } };
}

/** What happens to objects of a kind, each change as a line; until `end` is called. */
export interface Watching {
  readonly lines: readonly string[];
  end(): void;
}

/** Watches from now on, and says of each change its type and what `tell` tells of the object: its name when absent. */
export async function watching<T extends KubeObject>(
  cluster: VirtualCluster,
  kind: Kind<T>,
  labelSelector = '',
  tell = (object: T): string => object.metadata.name,
): Promise<Watching> {
  const objects = inDefault(cluster, kind);
  const { resourceVersion } = (await objects.list()).metadata;
  const enough = new AbortController();
  const lines: string[] = [];
  async function follow(): Promise<void> {
    for await (const { type, object } of objects.watch({ resourceVersion, labelSelector, signal: enough.signal })) {
      lines.push(`${type} ${tell(object)}`);
    }
  }
  void follow().catch((error: unknown) => {
    if (!enough.signal.aborted) throw error;
  });
  return { lines, end: () => enough.abort() };
}
