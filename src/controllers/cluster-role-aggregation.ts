/** Cluster roles that are made of others: their rules are those of every role their selectors match. Upstream's `clusterroleaggregation`. */
import { ClusterRole } from '../api/kinds.ts';
import type { V1PolicyRule } from '../api/types.ts';
import { equal } from '../machinery/equal.ts';
import { selectorOf } from '../machinery/selector.ts';
import type { ControllerDefinition } from './controller.ts';

export const clusterRoleAggregationController: ControllerDefinition = {
  name: 'clusterrole-aggregation-controller',
  serviceAccount: 'clusterrole-aggregation-controller',
  setup(context) {
    const enqueueAggregated = (): void => {
      for (const role of roles.list()) if (role.aggregationRule) context.enqueue(role.metadata.name);
    };
    const roles = context.watch(ClusterRole);
    context.watch(ClusterRole, {
      added: enqueueAggregated,
      updated(role, old) {
        if (!equal(role.rules, old.rules) || !equal(role.metadata.labels, old.metadata.labels) || !equal(role.aggregationRule, old.aggregationRule))
          enqueueAggregated();
      },
      deleted: enqueueAggregated,
    });
    return {
      async reconcile(name) {
        const role = roles.get(name);
        if (!role?.aggregationRule) return;
        const rules = aggregatedRules(role, roles.list());
        if (!equal(rules, role.rules ?? [])) await context.client.resource(ClusterRole).update({ ...role, rules });
      },
    };
  },
};

/** In the order of the roles' names, each rule once. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): V1PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(selectorOf);
  const rules: V1PolicyRule[] = [];
  for (const selector of selectors) {
    const matching = all.filter((other) => other.metadata.name !== role.metadata.name && selector.matches(other.metadata.labels));
    for (const { rules: more = [] } of matching.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
      for (const rule of more) if (!rules.some((known) => equal(known, rule))) rules.push(rule);
    }
  }
  return rules;
}
