/** Keeps the Node object and its Lease: registers the node, writes its status when it changes and every five minutes, renews the lease every 10 s. */
import { Lease, Node } from '../api/node-kinds.ts';
import type { V1NodeStatus, V1Taint } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Informer } from '../client/informer.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import { type Timer, type World, microTimestamp } from '../world/world.ts';
import type { ReservedResources } from './configuration/settings.ts';
import { messageOf } from './handler.ts';
import type { Host } from './host.ts';
import { nodeLabels, nodeStatus } from './node-status.ts';
import type { ContainerRuntime, Image, RuntimeStatus } from './runtime/runtime.ts';

export interface NodeAgentOptions {
  readonly world: World;
  readonly client: Client;
  readonly nodes: Informer<Node>;
  readonly runtime: ContainerRuntime;
  readonly host: Host;
  readonly nodeName: string;
  readonly hostname: string;
  readonly nodeIps: readonly string[];
  readonly maxPods: number;
  readonly serverPort: number;
  readonly reserved: ReservedResources;
  /** The conditions of pressure that hold. */
  readonly pressure: () => ReadonlySet<string>;
  readonly shuttingDown?: () => boolean;
  /** Attachable volumes that this node needs. */
  readonly volumesInUse: () => readonly string[];
  /** What of the younger features it does. */
  readonly declaredFeatures: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly V1Taint[];
  /** The runtime's network became ready or not. */
  readonly onNetworkChange: () => void;
}

export interface NodeAgent {
  /** The Node as the API has it, or as it was registered. */
  node(): Node | undefined;
  networkReady(): boolean;
  /** What the runtime said of itself last; undefined while it does not answer. */
  runtimeStatus(): RuntimeStatus | undefined;
  /** Resolves when the Node is in the API. */
  readonly registered: Promise<void>;
  /** Looks at the runtime at once and writes what changed. */
  refresh(): void;
  close(): void;
}

const statusEveryMs = 300_000;
const lookEveryMs = 10_000;
/** While the runtime or its network is not ready, looked at so often: a node should not wait for its own heartbeat. */
const lookSoonMs = 200;
/** After the API could not be reached. */
const retryMs = 1000;
const leaseEveryMs = 10_000;
const leaseDurationSeconds = 40;
const leaseNamespace = 'kube-node-lease';

function podCidrsOf(node: Node | undefined): readonly string[] {
  if (!node) return [];
  return node.spec.podCIDRs ?? (node.spec.podCIDR === undefined ? [] : [node.spec.podCIDR]);
}

export function createNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { world, client, nodes, runtime, host, nodeName } = options;
  const log = world.log.child('node');
  const resource = client.resource(Node);
  const leases = client.resource(Lease).namespace(leaseNamespace);
  const closed = new AbortController();
  const facts = host.facts();
  let registered: Node | undefined;
  const known = Promise.withResolvers<void>();
  let runtimeVersion = '';
  let runtimeStatus: RuntimeStatus | undefined;
  let images: readonly Image[] = [];
  let wroteMs = 0;
  let podCidr = '';
  let looking: Promise<void> | undefined;
  let again = false;
  /** The API does not have what was last seen: tried again soon. */
  let behind = false;
  let lookTimer: Timer | undefined;
  let leaseTimer: Timer | undefined;
  let lease: Lease | undefined;

  /** What the watch shows, unless this agent wrote something newer: judged by an older state, a change back would never be written. */
  function current(): Node | undefined {
    const seen = nodes.get(nodeName);
    if (!seen || !registered || seen.metadata.uid !== registered.metadata.uid) return seen ?? registered;
    return Number(seen.metadata.resourceVersion) < Number(registered.metadata.resourceVersion) ? registered : seen;
  }

  function status(previous: Node | undefined): V1NodeStatus {
    return nodeStatus(
      {
        nodeName,
        hostname: options.hostname,
        nodeIps: options.nodeIps,
        host: facts,
        maxPods: options.maxPods,
        serverPort: options.serverPort,
        reserved: options.reserved,
        pressure: options.pressure(),
        shuttingDown: options.shuttingDown?.() === true,
        volumesInUse: options.volumesInUse(),
        declaredFeatures: options.declaredFeatures,
        runtimeVersion,
        runtimeStatus,
        images,
        nowMs: world.clock.now(),
      },
      previous?.status.conditions ?? [],
    );
  }

  async function register(): Promise<void> {
    const labels = { ...nodeLabels({ nodeName, host: facts }), ...options.labels };
    try {
      registered = await resource.create({
        metadata: { name: nodeName, labels, annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } },
        spec: options.taints.length > 0 ? { taints: [...options.taints] } : {},
        status: status(undefined),
      });
      wroteMs = world.clock.now();
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const node = await resource.get(nodeName);
      registered = node;
      const missing = Object.entries(labels).some(([key, value]) => node.metadata.labels?.[key] !== value);
      if (missing) registered = await resource.patch(nodeName, { metadata: { labels } }, { type: 'strategic' });
    }
  }

  async function observe(): Promise<void> {
    const wasReady = networkReady();
    try {
      if (runtimeVersion === '') {
        const version = await runtime.version();
        runtimeVersion = `${version.runtimeName}://${version.runtimeVersion.replace(/^v/, '')}`;
      }
      runtimeStatus = await runtime.status();
      images = await runtime.listImages();
    } catch (error) {
      log.debug('the runtime could not be asked', { error: messageOf(error) });
      runtimeStatus = undefined;
    }
    if (networkReady() !== wasReady) options.onNetworkChange();
  }

  function networkReady(): boolean {
    return runtimeStatus?.conditions.find(({ type }) => type === 'NetworkReady')?.status === true;
  }

  async function writeIfChanged(): Promise<void> {
    const node = current();
    if (!node) return;
    const wanted = status(node);
    const nowMs = world.clock.now();
    if (!statusDiffers(node.status, wanted) && nowMs - wroteMs < statusEveryMs) return;
    const written = await resource.patch(
      nodeName,
      { status: statusPatch(node.status, wanted) },
      { type: 'strategic', subresource: 'status', signal: closed.signal },
    );
    registered = written;
    wroteMs = nowMs;
  }

  async function look(): Promise<void> {
    await observe();
    if (closed.signal.aborted) return;
    try {
      if (!registered) await register();
      known.resolve();
      await writeIfChanged();
      // With a comma between the families, as runtimes take them.
      const cidr = podCidrsOf(current()).join(',');
      if (cidr !== '' && cidr !== podCidr) {
        await runtime.updateRuntimeConfig(cidr);
        podCidr = cidr;
        again = true;
      }
      behind = false;
    } catch (error) {
      behind = true;
      if (!closed.signal.aborted) log.warn('the node object could not be written', { node: nodeName, error: messageOf(error) });
    }
  }

  function refresh(): void {
    if (closed.signal.aborted) return;
    if (looking) {
      again = true;
      return;
    }
    lookTimer?.cancel();
    looking = look().finally(() => {
      looking = undefined;
      if (closed.signal.aborted) return;
      if (again) {
        again = false;
        refresh();
        return;
      }
      lookTimer = world.clock.after(behind ? retryMs : networkReady() && current() ? lookEveryMs : lookSoonMs, refresh);
    });
  }

  async function renewLease(): Promise<void> {
    const renewTime = microTimestamp(world.clock.now());
    const node = current();
    const ownerReferences = node ? [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node.metadata.uid }] : undefined;
    // The first lease may be older than the Node, and then learns its owner later.
    const owned = ({ metadata }: Lease): Lease['metadata'] => ({ ...(ownerReferences && { ownerReferences }), ...metadata });
    try {
      if (lease) {
        lease = await leases.update({ ...lease, metadata: owned(lease), spec: { ...lease.spec, renewTime } }, { signal: closed.signal });
        return;
      }
      const spec = { holderIdentity: nodeName, leaseDurationSeconds, renewTime };
      try {
        lease = await leases.create(
          { metadata: { name: nodeName, namespace: leaseNamespace, ...(ownerReferences && { ownerReferences }) }, spec },
          { signal: closed.signal },
        );
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
        const found = await leases.get(nodeName);
        lease = await leases.update({ ...found, metadata: owned(found), spec: { ...found.spec, ...spec } }, { signal: closed.signal });
      }
    } catch (error) {
      // Read anew next time: someone else changed or removed it.
      lease = undefined;
      if (!closed.signal.aborted) log.debug('the node lease could not be renewed', { node: nodeName, error: messageOf(error) });
    }
  }

  function keepLease(): void {
    void renewLease().then(() => {
      if (closed.signal.aborted) return;
      leaseTimer = world.clock.after(lease ? leaseEveryMs : 1000, keepLease);
    });
  }

  const unsubscribe = nodes.subscribe({
    updated: (node, old) => {
      if (node.spec.podCIDR !== old.spec.podCIDR) refresh();
    },
    deleted: () => {
      // Someone deleted the Node of a living machine: it registers again.
      registered = undefined;
      lease = undefined;
      refresh();
    },
  });
  refresh();
  keepLease();

  return {
    node: current,
    registered: known.promise,
    networkReady,
    runtimeStatus: () => runtimeStatus,
    refresh,
    close() {
      closed.abort(new Error('the kubelet was closed'));
      lookTimer?.cancel();
      leaseTimer?.cancel();
      unsubscribe();
    },
  };
}

/** Whether anything but a heartbeat changed. */
function statusDiffers(known: V1NodeStatus, wanted: V1NodeStatus): boolean {
  return Object.keys(statusPatch(known, wanted, true)).length > 0;
}

/** Conditions, addresses and the rest; conditions of others (NetworkUnavailable) stay, as the list is merged by type. */
function statusPatch(known: V1NodeStatus, wanted: V1NodeStatus, ignoreHeartbeat = false): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  const before = new Map<string, unknown>(Object.entries(known));
  for (const [field, value] of Object.entries(wanted)) {
    if (field === 'conditions') continue;
    if (field === 'addresses' && !equal(value, known.addresses)) patch[field] = [{ $patch: 'replace' }, ...(wanted.addresses ?? [])];
    else if (!equal(value, before.get(field))) patch[field] = value;
  }
  // The last one is given back.
  if (!wanted.volumesInUse && known.volumesInUse?.length) patch.volumesInUse = null;
  const conditions = (wanted.conditions ?? []).filter((condition) => {
    const old = known.conditions?.find(({ type }) => type === condition.type);
    return !ignoreHeartbeat || old?.status !== condition.status || old.reason !== condition.reason || old.message !== condition.message;
  });
  if (conditions.length > 0) patch.conditions = conditions;
  return patch;
}
