/** Endpoints that someone wrote by hand for a service without selector, mirrored into slices. Upstream's `endpointslicemirroring`. */
import { Endpoints, Service } from '../../api/kinds.ts';
import type { DiscoveryV1EndpointPort, V1Endpoint, V1EndpointAddress } from '../../api/types.ts';
import { tryParseIp } from '../../machinery/ip.ts';
import { type KubeObject, keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { lastChangeAnnotation } from './trigger-times.ts';
import { createSliceWriter } from './slice-writer.ts';
import { type EndpointGroup, managedByLabel, planSlices, portsKey, serviceNameLabel } from './slices.ts';

const mirrorManager = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

export const endpointSliceMirroringController: ControllerDefinition = {
  name: 'endpointslice-mirroring-controller',
  serviceAccount: 'endpointslicemirroring-controller',
  setup(context) {
    const writer = createSliceWriter(context, mirrorManager);
    const { mirroringMaxEndpointsPerSubset: most, mirroringEndpointSliceUpdatesBatchPeriodMs: batchMs } = context.options;
    const enqueue = (object: KubeObject): void => (batchMs > 0 ? context.enqueueAfter(keyOf(object), batchMs) : context.enqueue(keyOf(object)));
    const endpoints = context.watch<Endpoints>(Endpoints, { added: enqueue, updated: enqueue, deleted: enqueue });
    const services = context.watch<Service>(Service, { added: enqueue, updated: enqueue, deleted: enqueue });

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const source = endpoints.get(name, namespace);
        const service = services.get(name, namespace);
        const existing = writer.slicesOf(key);
        if (!existing) return;
        // Slices of Endpoints that are gone go as their dependents.
        if (!source) return writer.forget(key);
        const mirrored = service !== undefined && Object.keys(service.spec.selector ?? {}).length === 0 && wantsMirror(source);
        const labels = { ...source.metadata.labels, [serviceNameLabel]: name, [managedByLabel]: mirrorManager };
        const { [lastAppliedAnnotation]: _applied, [lastChangeAnnotation]: _since, ...annotations } = source.metadata.annotations ?? {};
        const plan = planSlices(existing, mirrored ? mirrorGroups(source, most) : [], labels, most, annotations);
        await writer.carryOut(key, source, plan, { labels, annotations: () => annotations });
      },
    };
  },
};

function wantsMirror({ metadata }: Endpoints): boolean {
  return metadata.labels?.[skipLabel] !== 'true' && metadata.annotations?.[leaderAnnotation] === undefined;
}

/** One group for each family and set of ports, however many subsets they are spread over; of each subset `most` addresses. */
export function mirrorGroups({ subsets }: Endpoints, most: number): EndpointGroup[] {
  const groups = new Map<string, { addressType: string; ports: DiscoveryV1EndpointPort[]; endpoints: V1Endpoint[] }>();
  for (const { addresses = [], notReadyAddresses = [], ports: subsetPorts = [] } of subsets ?? []) {
    const ports = subsetPorts.map((port) => ({ ...port, name: port.name ?? '', protocol: port.protocol ?? 'TCP' }));
    const endpoints = [...addresses.map((address) => endpointOf(address, true)), ...notReadyAddresses.map((address) => endpointOf(address, false))];
    for (const endpoint of endpoints.slice(0, most)) {
      const family = tryParseIp(endpoint.addresses[0] ?? '')?.family;
      if (family === undefined) continue;
      const key = `IPv${family}/${portsKey(ports)}`;
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { addressType: `IPv${family}`, ports, endpoints: [] }));
      group.endpoints.push(endpoint);
    }
  }
  return [...groups.values()];
}

function endpointOf({ ip, hostname, nodeName, targetRef }: V1EndpointAddress, ready: boolean): V1Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname !== undefined && { hostname }),
    ...(nodeName !== undefined && { nodeName }),
    ...(targetRef && { targetRef }),
  };
}
