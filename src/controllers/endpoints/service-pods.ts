/** Which pods stand behind a service, at which addresses and ports. Shared by endpoints and endpoint slices. */
import { Pod, Service } from '../../api/kinds.ts';
import type { V1ServicePort } from '../../api/types.ts';
import type { Informer } from '../../client/informer.ts';
import { equal } from '../../machinery/equal.ts';
import { tryParseIp } from '../../machinery/ip.ts';
import { keyOf } from '../../machinery/object.ts';
import type { ControllerContext } from '../controller.ts';
import { hasEnded, isReady } from '../pods.ts';

export type IpFamily = 'IPv4' | 'IPv6';

export const headlessLabel = 'service.kubernetes.io/headless';

/** A service whose endpoints follow pods: it has a selector and is no mere alias. */
export function followsPods({ spec }: Service): boolean {
  return spec.type !== 'ExternalName' && Object.keys(spec.selector ?? {}).length > 0;
}

export function selects({ spec }: Service, labels: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(spec.selector ?? {}).every(([key, value]) => labels?.[key] === value);
}

export function isHeadless({ spec }: Service): boolean {
  return spec.clusterIP === 'None' || spec.clusterIP === undefined || spec.clusterIP === '';
}

/** The service's families, first one first. */
export function familiesOf({ spec }: Service): readonly IpFamily[] {
  if (spec.ipFamilies && spec.ipFamilies.length > 0) return spec.ipFamilies.map((family) => (family === 'IPv6' ? 'IPv6' : 'IPv4'));
  return [tryParseIp(spec.clusterIP ?? '')?.family === 6 ? 'IPv6' : 'IPv4'];
}

export function addressesOf({ status }: Pod, family: IpFamily): string[] {
  const ips = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP === undefined ? [] : [status.podIP]);
  return ips.filter((ip) => tryParseIp(ip)?.family === (family === 'IPv6' ? 6 : 4));
}

/** Has an address and has not ended; one on its way out counts only if asked for. */
export function isBehindServices(pod: Pod, includeTerminating: boolean): boolean {
  if (hasEnded(pod)) return false;
  return includeTerminating || pod.metadata.deletionTimestamp === undefined;
}

/** The number a service port leads to on this pod; undefined when the pod has no port of that name. */
export function targetPort(pod: Pod, port: V1ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const sidecars = (pod.spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const { name, containerPort, protocol } of container.ports ?? []) {
      if (name === target && (protocol ?? 'TCP') === (port.protocol ?? 'TCP')) return containerPort;
    }
  }
  return undefined;
}

/** The pod's own name in DNS below a headless service. */
export function hostnameFor(pod: Pod, service: Service): string | undefined {
  return pod.spec.hostname && pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;
}

/** Enqueues every service that a change of a pod, or of the service itself, concerns; after changes of pods only when others have had `batchMs` to join. */
export function watchServicesAndPods(context: ControllerContext, batchMs: number): { services: Informer<Service>; pods: Informer<Pod> } {
  const enqueue = (service: Service): void => context.enqueue(keyOf(service));
  const services = context.watch(Service, { added: enqueue, updated: enqueue, deleted: enqueue });
  const enqueueSelecting = (pod: Pod, other?: Pod): void => {
    for (const service of services.list(pod.metadata.namespace)) {
      if (!followsPods(service)) continue;
      if (!selects(service, pod.metadata.labels) && !(other && selects(service, other.metadata.labels))) continue;
      if (batchMs > 0) context.enqueueAfter(keyOf(service), batchMs);
      else enqueue(service);
    }
  };
  const pods = context.watch(Pod, {
    added: (pod) => enqueueSelecting(pod),
    updated(pod, old) {
      if (mattersToServices(pod, old)) enqueueSelecting(pod, old);
    },
    deleted: (pod) => enqueueSelecting(pod),
  });
  return { services, pods };
}

function mattersToServices(pod: Pod, old: Pod): boolean {
  return (
    pod.metadata.uid !== old.metadata.uid ||
    pod.metadata.deletionTimestamp !== old.metadata.deletionTimestamp ||
    pod.spec.nodeName !== old.spec.nodeName ||
    hasEnded(pod) !== hasEnded(old) ||
    isReady(pod) !== isReady(old) ||
    !equal(pod.status.podIPs ?? pod.status.podIP, old.status.podIPs ?? old.status.podIP) ||
    !equal(pod.metadata.labels, old.metadata.labels)
  );
}
