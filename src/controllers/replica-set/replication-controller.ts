/** Replication controllers: the older form of replica sets, whose selector is a plain map of labels. */
import { ReplicationController } from '../../api/kinds.ts';
import { selectorOf } from '../../machinery/selector.ts';
import type { ControllerDefinition } from '../controller.ts';
import { keepReplicas } from './replicas.ts';

export const replicationController: ControllerDefinition = {
  name: 'replicationcontroller-controller',
  serviceAccount: 'replication-controller',
  setup: (context) =>
    keepReplicas(context, {
      kind: ReplicationController,
      selector: (controller) => selectorOf({ matchLabels: controller.spec.selector ?? {} }),
      reportsTerminating: false,
    }),
};
