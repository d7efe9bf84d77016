/** Replica sets: so many pods of one template, neither more nor fewer. */
import { ReplicaSet } from '../../api/kinds.ts';
import { selectorOf } from '../../machinery/selector.ts';
import type { ControllerDefinition } from '../controller.ts';
import { keepReplicas } from './replicas.ts';

export const replicaSetController: ControllerDefinition = {
  name: 'replicaset-controller',
  serviceAccount: 'replicaset-controller',
  setup: (context) =>
    keepReplicas(context, { kind: ReplicaSet, selector: (replicaSet) => selectorOf(replicaSet.spec.selector), reportsTerminating: true }),
};
