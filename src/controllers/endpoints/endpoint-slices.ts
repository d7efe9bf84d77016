/** Endpoint slices of services with a selector: where their pods can be reached, and which of them are ready. Upstream's `endpointslice`. */
import { Node, type Pod, type Service } from '../../api/kinds.ts';
import type { DiscoveryV1EndpointPort, V1Endpoint } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { isNodeReady } from '../conditions.ts';
import { isReady, podsOnNode, watchPodsByNode } from '../pods.ts';
import {
  type IpFamily,
  addressesOf,
  familiesOf,
  followsPods,
  headlessLabel,
  hostnameFor,
  isBehindServices,
  isHeadless,
  selects,
  targetPort,
  watchServicesAndPods,
} from './service-pods.ts';
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';
import { createSliceWriter } from './slice-writer.ts';
import { type ZoneCapacity, wantsTopologyHints, withTopologyHints, zoneCapacity } from './topology-hints.ts';
import { type EndpointGroup, managedByLabel, planSlices, portsKey, serviceNameLabel } from './slices.ts';

export const sliceManager = 'endpointslice-controller.k8s.io';
const zoneLabel = 'topology.kubernetes.io/zone';

export const endpointSliceController: ControllerDefinition = {
  name: 'endpointslice-controller',
  serviceAccount: 'endpointslice-controller',
  eventSource: 'endpoint-slice-controller',
  setup(context) {
    const { events, options } = context;
    const { services, pods } = watchServicesAndPods(context, options.endpointSliceUpdatesBatchPeriodMs);
    const triggers = new TriggerTimes();
    const writer = createSliceWriter(context, sliceManager);
    /** Services whose hints are on, by family, as far as was told. */
    const hinted = new Set<string>();
    const enqueueServices = (concerned: (service: Service) => boolean): void => {
      for (const service of services.list()) if (followsPods(service) && concerned(service)) context.enqueue(keyOf(service));
    };
    const nodes = context.watch(Node, {
      added({ metadata: { name } }) {
        for (const key of waiting.get(name) ?? []) context.enqueue(key);
        waiting.delete(name);
        enqueueServices(wantsTopologyHints);
      },
      updated(node, old) {
        if (node.metadata.labels?.[zoneLabel] !== old.metadata.labels?.[zoneLabel]) enqueueServices(() => true);
        else if (!equal(capacityOf(node), capacityOf(old))) enqueueServices(wantsTopologyHints);
      },
      deleted({ metadata: { name } }) {
        const left = podsOnNode(podsByNode, name);
        enqueueServices((service) => wantsTopologyHints(service) || left.some((pod) => isSelectedBy(service, pod)));
      },
    });
    const podsByNode = watchPodsByNode(context);
    /** Services some of whose pods were left out, by the node that was not known. */
    const waiting = new Map<string, Set<string>>();

    /** A node that is gone takes its pods along, before the pod garbage collector gets to them; who wants all addresses gets them. */
    function isPlaced(key: string, { spec }: Service, pod: Pod): boolean {
      const { nodeName } = pod.spec;
      if (!nodeName || spec.publishNotReadyAddresses === true || nodes.get(nodeName) !== undefined) return true;
      let keys = waiting.get(nodeName);
      if (!keys) waiting.set(nodeName, (keys = new Set()));
      keys.add(key);
      return false;
    }

    function tell(service: Service, family: string, refusal: string | undefined): void {
      const entry = `${service.metadata.uid}/${family}`;
      if (refusal === undefined) {
        if (!hinted.has(entry))
          events.event(service, 'Normal', 'TopologyAwareHintsEnabled', `Topology Aware Hints has been enabled, addressType: ${family}`);
        hinted.add(entry);
      } else {
        events.event(service, 'Warning', 'TopologyAwareHintsDisabled', `${refusal}, addressType: ${family}`);
        hinted.delete(entry);
      }
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const service = services.get(name, namespace);
        // The slices of a service that is gone go with it, as its dependents.
        if (!service || service.metadata.deletionTimestamp !== undefined) {
          triggers.forget(key);
          return writer.forget(key);
        }
        if (!followsPods(service)) return;
        const existing = writer.slicesOf(key);
        if (!existing) return;
        const selected = pods.list(namespace).filter((pod) => isSelectedBy(service, pod) && isPlaced(key, service, pod));
        const labels = sliceLabels(service);
        const groups = endpointGroups(service, selected, (node) => nodes.get(node)?.metadata.labels?.[zoneLabel]);
        const told = wantsTopologyHints(service) ? hintGroups(service, groups, zoneCapacity(nodes.list()), tell) : groups;
        const since = triggers.next(key, service, selected);
        const plan = planSlices(existing, told, labels, options.maxEndpointsPerSlice);
        await writer.carryOut(key, service, plan, { labels, annotations: (before) => withTriggerTime(before, since) });
      },
    };
  },
};

function isSelectedBy(service: Service, { metadata }: Pod): boolean {
  return metadata.namespace === service.metadata.namespace && selects(service, metadata.labels);
}

/** What of a node counts for hints. */
function capacityOf(node: Node): unknown {
  return [isNodeReady(node), node.status.allocatable?.['cpu']];
}

/** Each family for itself: a client sees one of them. */
function hintGroups(
  service: Service,
  groups: readonly EndpointGroup[],
  capacity: ZoneCapacity,
  tell: (service: Service, family: string, refusal: string | undefined) => void,
): readonly EndpointGroup[] {
  return familiesOf(service).flatMap((family) => {
    const own = groups.filter(({ addressType }) => addressType === family);
    const answer = withTopologyHints(own, capacity);
    tell(service, family, 'refusal' in answer ? answer.refusal : undefined);
    return 'refusal' in answer ? own : answer.groups;
  });
}

/** The service's own labels and those that say whose slice it is. */
export function sliceLabels(service: Service): Record<string, string> {
  const { [headlessLabel]: _headless, ...labels } = service.metadata.labels ?? {};
  return {
    ...labels,
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: sliceManager,
    ...(isHeadless(service) && { [headlessLabel]: '' }),
  };
}

/** The service's endpoints by family and by ports, which named target ports make differ from pod to pod. An empty group for a family without any. */
export function endpointGroups(service: Service, pods: readonly Pod[], zoneOf: (node: string) => string | undefined): readonly EndpointGroup[] {
  return familiesOf(service).flatMap((family) => {
    const groups = new Map<string, { ports: DiscoveryV1EndpointPort[]; endpoints: V1Endpoint[] }>();
    for (const pod of pods) {
      const addresses = addressesOf(pod, family);
      if (addresses.length === 0 || !isBehindServices(pod, true)) continue;
      const ports = endpointPorts(service, pod);
      const portKey = portsKey(ports);
      let group = groups.get(portKey);
      if (!group) groups.set(portKey, (group = { ports, endpoints: [] }));
      group.endpoints.push(endpointOf(service, pod, addresses, zoneOf));
    }
    return groups.size === 0 ? [emptyGroup(family)] : [...groups.values()].map((group) => ({ addressType: family, ...group }));
  });
}

function emptyGroup(addressType: IpFamily): EndpointGroup {
  return { addressType, ports: [], endpoints: [] };
}

function endpointPorts(service: Service, pod: Pod): DiscoveryV1EndpointPort[] {
  return (service.spec.ports ?? []).flatMap((port) => {
    const number = targetPort(pod, port);
    if (number === undefined) return [];
    return [
      {
        name: port.name ?? '',
        port: number,
        protocol: port.protocol ?? 'TCP',
        ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
      },
    ];
  });
}

function endpointOf(service: Service, pod: Pod, addresses: string[], zoneOf: (node: string) => string | undefined): V1Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { nodeName } = pod.spec;
  const zone = nodeName === undefined ? undefined : zoneOf(nodeName);
  const hostname = hostnameFor(pod, service);
  const hints = ready && !wantsTopologyHints(service) ? hintsOf(service, nodeName, zone) : undefined;
  return {
    addresses,
    conditions: { ready, serving, terminating },
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(zone !== undefined && { zone }),
    ...(hints && { hints }),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  };
}

/** Where the endpoint is best used from, for services that prefer near ones. */
function hintsOf({ spec }: Service, nodeName: string | undefined, zone: string | undefined): V1Endpoint['hints'] {
  if (spec.trafficDistribution === undefined) return undefined;
  const forNodes = spec.trafficDistribution === 'PreferSameNode' && nodeName !== undefined ? [{ name: nodeName }] : undefined;
  const forZones = zone === undefined ? undefined : [{ name: zone }];
  return forNodes || forZones ? { ...(forZones && { forZones }), ...(forNodes && { forNodes }) } : undefined;
}
