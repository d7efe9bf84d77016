/** NodeAffinity: `nodeSelector`, required and preferred node affinity against the node's labels and name. */
import type { Node } from '../../api/kinds.ts';
import type { V1NodeSelectorRequirement, V1NodeSelectorTerm } from '../../api/types.ts';
import type { Plugin } from '../plugin.ts';

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  helpedBy: ['node-added', 'node-labels-changed'],
  filter(pod, node) {
    const { nodeSelector, affinity } = pod.pod.spec;
    if (!node.node) return [];
    const labels = node.node.metadata.labels ?? {};
    const selected = Object.entries(nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
    const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    const { node: row } = node;
    if (selected && (terms === undefined || terms.some((term) => matchesTerm(row, term)))) return [];
    return [{ reason: "node(s) didn't match Pod's node affinity/selector", unresolvable: true }];
  },
  score(pod, node) {
    const preferred = pod.pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const { node: row } = node;
    if (!row) return 0;
    return preferred.reduce((sum, { weight, preference }) => (matchesTerm(row, preference) ? sum + weight : sum), 0);
  },
  normalize: 'proportional',
  weight: 2,
};

/** A term without any expression matches nothing. */
export function matchesTerm(node: Node, term: V1NodeSelectorTerm): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  return (
    expressions.every((requirement) => matchesRequirement(labels[requirement.key], requirement)) &&
    fields.every((requirement) => requirement.key === 'metadata.name' && matchesRequirement(node.metadata.name, requirement))
  );
}

function matchesRequirement(value: string | undefined, { operator, values = [] }: V1NodeSelectorRequirement): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const [actual, bound] = [wholeNumber(value), wholeNumber(values[0])];
      if (actual === undefined || bound === undefined) return false;
      return operator === 'Gt' ? actual > bound : actual < bound;
    }
    default:
      return false;
  }
}

function wholeNumber(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[+-]?\d+$/.test(text) ? BigInt(text) : undefined;
}
