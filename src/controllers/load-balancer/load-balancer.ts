/**
 * Gives Services of type LoadBalancer an address, so that none stays `<pending>` where no cloud is: from the configured pool, or the nodes' own. The service proxy
 * makes the address answer. Takes the place of the cloud controller manager's `service-lb-controller`.
 */
import { EndpointSlice, Node, Service } from '../../api/kinds.ts';
import type { V1LoadBalancerIngress } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { addressesOf, isOurs, planAddresses } from './plan.ts';
import { AddressPool } from './pool.ts';

const finalizer = 'service.kubernetes.io/load-balancer-cleanup';

export const loadBalancerController: ControllerDefinition = {
  name: 'service-lb-controller',
  serviceAccount: 'service-controller',
  setup(context) {
    const { client, events } = context;
    const pool = new AddressPool(context.options.loadBalancerPool);
    /** By UID: what was decided, which the caches may not show yet while the next Service is looked at. */
    const held = new Map<string, readonly string[]>();
    const enqueueOurs = (): void => {
      for (const service of services.list()) if (isOurs(service)) context.enqueue(keyOf(service));
    };
    const services = context.watch(Service, {
      added: (service) => {
        if (isOurs(service) || isHeld(service)) context.enqueue(keyOf(service));
      },
      updated(service, old) {
        if (isOurs(service) || isHeld(service)) context.enqueue(keyOf(service));
        // What it gave back may be what another waits for.
        if (isOurs(old) && !equal([service.spec, service.status], [old.spec, old.status])) enqueueWaiting();
      },
      deleted: (service) => {
        held.delete(service.metadata.uid);
        if (isOurs(service)) enqueueWaiting();
      },
    });
    const nodes = context.watch(Node, {
      added: enqueueOurs,
      updated(node, old) {
        if (!equal([node.status.addresses, node.metadata.labels], [old.status.addresses, old.metadata.labels])) enqueueOurs();
      },
      deleted: enqueueOurs,
    });
    const slices = context.watch(EndpointSlice);

    function enqueueWaiting(): void {
      for (const service of services.list()) if (isOurs(service) && addressesOf(service).length === 0) context.enqueue(keyOf(service));
    }

    /** What the cluster itself is reached by, on addresses that Services may share. */
    function ownPorts(): Set<string> {
      const own = new Set<string>();
      for (const { status } of nodes.list()) {
        const port = status.daemonEndpoints?.kubeletEndpoint?.Port;
        for (const { address } of status.addresses ?? []) own.add(`${address}:${port}/TCP`);
      }
      const apiServers = slices.get('kubernetes', 'default');
      for (const { addresses } of apiServers?.endpoints ?? []) {
        for (const address of addresses) for (const { port, protocol } of apiServers?.ports ?? []) own.add(`${address}:${port}/${protocol ?? 'TCP'}`);
      }
      return own;
    }

    async function write(service: Service, addresses: readonly string[], finalizers: readonly string[]): Promise<void> {
      const ingress: V1LoadBalancerIngress[] = addresses.map((ip) => ({ ip, ipMode: 'VIP' }));
      const { finalizers: _old, ...metadata } = service.metadata;
      await client
        .resource(Service)
        .namespace(service.metadata.namespace)
        .updateStatus({
          ...service,
          metadata: finalizers.length === 0 ? metadata : { ...metadata, finalizers: [...finalizers] },
          status: { ...service.status, loadBalancer: ingress.length === 0 ? {} : { ingress } },
        });
    }

    async function release(service: Service): Promise<void> {
      events.event(service, 'Normal', 'DeletingLoadBalancer', 'Deleting load balancer');
      held.delete(service.metadata.uid);
      await write(
        service,
        [],
        (service.metadata.finalizers ?? []).filter((each) => each !== finalizer),
      );
      events.event(service, 'Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
    }

    async function ensure(service: Service): Promise<void> {
      const others = services
        .list()
        .filter((other) => isOurs(other) && other.metadata.uid !== service.metadata.uid)
        .map((other) => ({ service: other, addresses: held.get(other.metadata.uid) ?? addressesOf(other) }));
      const plan = planAddresses({ service, others, nodes: nodes.list(), pool, ownPorts: ownPorts() });
      held.set(service.metadata.uid, plan.addresses ?? []);
      const { finalizers = [] } = service.metadata;
      const kept = finalizers.includes(finalizer) ? finalizers : [...finalizers, finalizer];
      if (plan.addresses === undefined) {
        events.event(service, 'Warning', 'SyncLoadBalancerFailed', `Error syncing load balancer: ${plan.why}`);
        if (addressesOf(service).length > 0) await write(service, [], kept);
        return;
      }
      if (kept === finalizers && equal(plan.addresses, addressesOf(service))) return;
      if (addressesOf(service).length === 0) events.event(service, 'Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
      await write(service, plan.addresses, kept);
      events.event(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const service = services.get(name, namespace);
        if (!service) return;
        if (isOurs(service) && service.metadata.deletionTimestamp === undefined) await ensure(service);
        else if (isHeld(service)) await release(service);
      },
    };
  },
};

/** We gave it an address and have not taken it back. */
function isHeld({ metadata, spec }: Service): boolean {
  return spec.loadBalancerClass === undefined && metadata.finalizers?.includes(finalizer) === true;
}
