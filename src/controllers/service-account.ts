/** Every namespace has a service account `default`, for pods that name none. Upstream's `pkg/controller/serviceaccount`. */
import { Namespace, ServiceAccount } from '../api/kinds.ts';
import { isReason } from '../machinery/errors.ts';
import type { ControllerDefinition } from './controller.ts';
import { isNamespaceTerminating } from './errors.ts';

const defaultName = 'default';

export const serviceAccountController: ControllerDefinition = {
  name: 'serviceaccount-controller',
  serviceAccount: 'service-account-controller',
  setup(context) {
    const namespaces = context.watch(Namespace, {
      added: (namespace) => context.enqueue(namespace.metadata.name),
      updated: (namespace) => context.enqueue(namespace.metadata.name),
    });
    const serviceAccounts = context.watch(ServiceAccount, {
      deleted(account) {
        if (account.metadata.name === defaultName) context.enqueue(account.metadata.namespace);
      },
    });
    return {
      async reconcile(namespace) {
        if (namespaces.get(namespace)?.status.phase === 'Terminating' || !namespaces.get(namespace)) return;
        if (serviceAccounts.get(defaultName, namespace)) return;
        try {
          await context.client
            .resource(ServiceAccount)
            .namespace(namespace)
            .create({ metadata: { name: defaultName, namespace } });
        } catch (error) {
          if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
        }
      },
    };
  },
};
