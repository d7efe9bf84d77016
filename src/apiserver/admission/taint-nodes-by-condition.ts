/** TaintNodesByCondition: a new node takes no pods until the node lifecycle controller has seen it ready. */
import { Node } from '../../api/kinds.ts';
import { type AdmissionPlugin, isWriteOf } from './admission.ts';

const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  admit(request) {
    if (!isWriteOf(request, Node, 'CREATE')) return;
    const node = request.object as Node | undefined;
    if (!node) return;
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some((taint) => taint.key === notReady.key && taint.effect === notReady.effect)) return;
    node.spec.taints = [...taints, { ...notReady }];
  },
};
