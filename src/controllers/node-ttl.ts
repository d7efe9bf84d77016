/**
 * Tells kubelets, by an annotation of their nodes, how long they may go on with the Secrets and ConfigMaps they have read: in a large cluster longer, so that
 * reading them does not overload the API server. Upstream's `pkg/controller/ttl`.
 */
import { Node } from '../api/kinds.ts';
import type { ControllerDefinition } from './controller.ts';

export const ttlAnnotation = 'node.alpha.kubernetes.io/ttl';

/** Ranges of cluster sizes overlap, so that one node more or less does not change all of them back and forth. */
const steps: readonly { readonly from: number; readonly to: number; readonly seconds: number }[] = [
  { from: 0, to: 100, seconds: 0 },
  { from: 90, to: 500, seconds: 15 },
  { from: 450, to: 1000, seconds: 30 },
  { from: 900, to: 2000, seconds: 60 },
  { from: 1800, to: 10_000, seconds: 300 },
  { from: 9000, to: Infinity, seconds: 600 },
];

/** The step a cluster of so many nodes is on that was on `step` before. */
export function nextStep(step: number, nodes: number): number {
  let next = step;
  while (nodes > (steps[next]?.to ?? Infinity)) next++;
  while (next > 0 && nodes < (steps[next]?.from ?? 0)) next--;
  return next;
}

export function secondsOf(step: number): number {
  return steps[step]?.seconds ?? 0;
}

export const nodeTtlController: ControllerDefinition = {
  name: 'ttl-controller',
  serviceAccount: 'ttl-controller',
  setup(context) {
    let count = 0;
    let step = 0;
    const recount = (by: 1 | -1): void => {
      count += by;
      step = nextStep(step, count);
    };
    const differs = (node: Node): boolean => node.metadata.annotations?.[ttlAnnotation] !== String(secondsOf(step));
    const enqueue = (node: Node): void => {
      if (differs(node)) context.enqueue(node.metadata.name);
    };
    const nodes = context.watch(Node, {
      added(node) {
        recount(1);
        enqueue(node);
      },
      // Nodes report often enough: when the step changes all of them follow, and not all at once.
      updated: enqueue,
      deleted: () => recount(-1),
    });
    return {
      async reconcile(name) {
        const node = nodes.get(name);
        if (!node || !differs(node)) return;
        await context.client.resource(Node).patch(name, { metadata: { annotations: { [ttlAnnotation]: String(secondsOf(step)) } } });
      },
    };
  },
};
