/**
 * ServiceCIDRs: says when a range is ready to be used, and lets a deleted one go when no Service has an address that only it has. Upstream's
 * `pkg/controller/servicecidrs`.
 */
import { IPAddress, ServiceCIDR } from '../../api/kinds.ts';
import { isReason } from '../../machinery/errors.ts';
import { timestamp } from '../../world/world.ts';
import { withCondition } from '../conditions.ts';
import { type ControllerDefinition, onAny, type Outcome } from '../controller.ts';
import { finalizer, hasAddress, planServiceCidr } from './plan.ts';

const ready = { status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' };
const terminating = {
  status: 'False',
  reason: 'Terminating',
  message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
};

export const serviceCidrsController: ControllerDefinition = {
  name: 'service-cidr-controller',
  serviceAccount: 'service-cidrs-controller',
  setup(context) {
    const { client, world } = context;
    const enqueueLeaving = (matters: (object: ServiceCIDR) => boolean): void => {
      for (const object of objects.list())
        if (object.metadata.deletionTimestamp !== undefined && matters(object)) context.enqueue(object.metadata.name);
    };
    const objects = context.watch(
      ServiceCIDR,
      onAny(({ metadata }) => {
        context.enqueue(metadata.name);
        // What this one has or loses may hold others, or free them.
        enqueueLeaving(() => true);
      }),
    );
    const addresses = context.watch(IPAddress, {
      deleted: (address) => enqueueLeaving((object) => hasAddress(object, address)),
    });
    const resource = client.resource(ServiceCIDR);

    async function setCondition(object: ServiceCIDR, condition: typeof ready): Promise<void> {
      const time = timestamp(world.clock.now());
      const conditions = withCondition(object.status?.conditions, { type: 'Ready', ...condition, lastTransitionTime: time });
      await resource.updateStatus({ ...object, status: { ...object.status, conditions: [...conditions] } });
    }

    async function setFinalizers(object: ServiceCIDR, finalizers: string[]): Promise<void> {
      await resource.update({ ...object, metadata: { ...object.metadata, finalizers } });
    }

    async function reconcile(object: ServiceCIDR): Promise<Outcome> {
      const finalizers = object.metadata.finalizers ?? [];
      const plan = planServiceCidr(object, objects.list(), addresses.list(), world.clock.now());
      switch (plan.action) {
        case 'none':
          return;
        case 'protect':
          return setFinalizers(object, [...finalizers, finalizer]);
        case 'setReady':
          return setCondition(object, ready);
        case 'setTerminating':
          return setCondition(object, terminating);
        case 'wait':
          return { requeueAfterMs: plan.ms };
        case 'letGo':
          return setFinalizers(
            object,
            finalizers.filter((name) => name !== finalizer),
          );
      }
    }

    return {
      async reconcile(key) {
        const object = objects.get(key);
        if (!object) return;
        try {
          return await reconcile(object);
        } catch (error) {
          if (!isReason(error, 'NotFound')) throw error;
        }
      },
    };
  },
};
