/** Endpoints, the older form of endpoint slices: one object per service with a selector. Upstream's `pkg/controller/endpoint`. */
import { Endpoints, type Pod, type Service } from '../../api/kinds.ts';
import type { CoreV1EndpointPort, V1EndpointAddress, V1EndpointSubset } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { isReason } from '../../machinery/errors.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone, isNamespaceTerminating } from '../errors.ts';
import { isReady } from '../pods.ts';
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';
import {
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

const managedByLabel = 'endpoints.kubernetes.io/managed-by';
const manager = 'endpoint-controller';
const overCapacityAnnotation = 'endpoints.kubernetes.io/over-capacity';
/** More than so many addresses are left to endpoint slices. */
const mostAddresses = 1000;

export const endpointsController: ControllerDefinition = {
  name: 'endpoints-controller',
  serviceAccount: 'endpoint-controller',
  setup(context) {
    const { client, options } = context;
    const { services, pods } = watchServicesAndPods(context, options.endpointUpdatesBatchPeriodMs);
    const triggers = new TriggerTimes();
    const endpoints = context.watch(Endpoints, {
      updated: (object) => context.enqueue(keyOf(object)),
      deleted: (object) => context.enqueue(keyOf(object)),
      // After a restart: those whose service went while no one looked.
      added: (object) => context.enqueue(keyOf(object)),
    });

    return {
      async reconcile(key) {
        const { namespace = '', name } = splitKey(key);
        const endpointsClient = client.resource(Endpoints).namespace(namespace);
        const current = endpoints.get(name, namespace);
        const service = services.get(name, namespace);
        if (!service) {
          triggers.forget(key);
          // Only what was made here goes with its service; others use Endpoints as they please.
          if (current?.metadata.labels?.[managedByLabel] === manager) {
            await endpointsClient.delete(name, { preconditions: { uid: current.metadata.uid } }).catch(ignoreGone);
          }
          return;
        }
        if (!followsPods(service)) return;

        const selected = pods.list(namespace).filter((pod) => selects(service, pod.metadata.labels));
        const wanted = wantedEndpoints(service, selected);
        const { [overCapacityAnnotation]: capacity, ...kept } = current?.metadata.annotations ?? {};
        const since = triggers.next(key, service, selected);
        const annotations = withTriggerTime(wanted.truncated ? { ...kept, [overCapacityAnnotation]: 'truncated' } : kept, since);
        const changes = {
          labels: wanted.labels,
          ...(Object.keys(annotations).length > 0 && { annotations }),
        };
        const content = wanted.subsets.length > 0 ? { subsets: wanted.subsets } : {};
        try {
          if (!current) {
            await endpointsClient.create({ metadata: { name, namespace, ...changes }, ...content });
          } else if (
            !equal(current.subsets ?? [], wanted.subsets) ||
            !equal(current.metadata.labels, wanted.labels) ||
            capacity !== (wanted.truncated ? 'truncated' : undefined)
          ) {
            const { subsets: _subsets, metadata: old, ...rest } = current;
            const { annotations: _annotations, ...metadata } = old;
            await endpointsClient.update({ ...rest, metadata: { ...metadata, ...changes }, ...content });
          }
        } catch (error) {
          // Already there: the cache is about to show it, and that comes back here.
          if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
        }
      },
    };
  },
};

export interface WantedEndpoints {
  readonly labels: Record<string, string>;
  readonly subsets: V1EndpointSubset[];
  readonly truncated: boolean;
}

/** Addresses grouped by the ports they share, sorted, so that equal sets of pods give equal objects. */
export function wantedEndpoints(service: Service, pods: readonly Pod[]): WantedEndpoints {
  const family = familiesOf(service)[0] ?? 'IPv4';
  const publishAll = service.spec.publishNotReadyAddresses === true;
  const groups = new Map<string, { ports: CoreV1EndpointPort[]; ready: V1EndpointAddress[]; notReady: V1EndpointAddress[] }>();
  let count = 0;
  let truncated = false;
  for (const pod of [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const ip = addressesOf(pod, family)[0];
    if (ip === undefined || !isBehindServices(pod, publishAll)) continue;
    const ports = portsOn(service, pod);
    if (ports.length === 0 && !(isHeadless(service) && (service.spec.ports ?? []).length === 0)) continue;
    if (count++ >= mostAddresses) {
      truncated = true;
      continue;
    }
    const key = JSON.stringify(ports);
    let group = groups.get(key);
    if (!group) groups.set(key, (group = { ports, ready: [], notReady: [] }));
    (publishAll || isReady(pod) ? group.ready : group.notReady).push(addressOf(service, pod, ip));
  }
  const subsets = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => subsetOf(group));
  const { [headlessLabel]: _headless, ...labels } = service.metadata.labels ?? {};
  return {
    labels: { ...labels, [managedByLabel]: manager, ...(isHeadless(service) && { [headlessLabel]: '' }) },
    subsets,
    truncated,
  };
}

function portsOn(service: Service, pod: Pod): CoreV1EndpointPort[] {
  return (service.spec.ports ?? [])
    .flatMap((port) => {
      const number = targetPort(pod, port);
      if (number === undefined) return [];
      return [
        {
          ...(port.name !== undefined && { name: port.name }),
          port: number,
          protocol: port.protocol ?? 'TCP',
          ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
        },
      ];
    })
    .sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));
}

function addressOf(service: Service, pod: Pod, ip: string): V1EndpointAddress {
  const hostname = hostnameFor(pod, service);
  return {
    ip,
    ...(hostname !== undefined && { hostname }),
    ...(pod.spec.nodeName !== undefined && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  };
}

function subsetOf({
  ports,
  ready,
  notReady,
}: {
  ports: CoreV1EndpointPort[];
  ready: V1EndpointAddress[];
  notReady: V1EndpointAddress[];
}): V1EndpointSubset {
  const byIp = (a: V1EndpointAddress, b: V1EndpointAddress): number => (a.ip < b.ip ? -1 : 1);
  return {
    ...(ready.length > 0 && { addresses: ready.sort(byIp) }),
    ...(notReady.length > 0 && { notReadyAddresses: notReady.sort(byIp) }),
    ...(ports.length > 0 && { ports }),
  };
}
