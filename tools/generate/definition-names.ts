/**
 * Gives each class of the client's model the name upstream's OpenAPI document has for it: `V1PodSpec` is `io.k8s.api.core.v1.PodSpec`. Kinds get
 * theirs from the group in their path, what they contain from the first group that reaches it, core first.
 */
import { modelIn, type Model } from './read-models.ts';
import type { ServedKind } from './read-operations.ts';

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';

const metaModels = [
  'V1APIGroup',
  'V1APIGroupList',
  'V1APIResource',
  'V1APIResourceList',
  'V1APIVersions',
  'V1Condition',
  'V1DeleteOptions',
  'V1FieldSelectorRequirement',
  'V1GroupVersionForDiscovery',
  'V1LabelSelector',
  'V1LabelSelectorRequirement',
  'V1ListMeta',
  'V1ManagedFieldsEntry',
  'V1ObjectMeta',
  'V1OwnerReference',
  'V1Preconditions',
  'V1ServerAddressByClientCIDR',
  'V1ShardInfo',
  'V1Status',
  'V1StatusCause',
  'V1StatusDetails',
  'V1WatchEvent',
];

/** Bodies of subresources, which have no path of their own, and what core declares but only another group uses: with their group. */
const otherRoots: Readonly<Record<string, string>> = {
  V1Scale: 'io.k8s.api.autoscaling.v1',
  V1Eviction: 'io.k8s.api.policy.v1',
  AuthenticationV1TokenRequest: 'io.k8s.api.authentication.v1',
  V1TopologySelectorTerm: 'io.k8s.api.core.v1',
};

function packageOf(group: string, version: string): string {
  if (group === '') return `io.k8s.api.core.${version}`;
  if (group === 'apiextensions.k8s.io') return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.${version}`;
  if (group === 'apiregistration.k8s.io') return `io.k8s.kube-aggregator.pkg.apis.apiregistration.${version}`;
  return `io.k8s.api.${group.split('.')[0]}.${version}`;
}

/** The class's name without what the client puts before it to keep classes apart. */
export function bareName(model: string): string {
  return model.replace(/^[A-Za-z]*?V\d+(?=[A-Z])/, '');
}

/** Public names of every model that a served kind or a meta type needs. */
export function definitionNames(models: ReadonlyMap<string, Model>, kinds: readonly ServedKind[]): Map<string, string> {
  const names = new Map<string, string>();
  const give = (model: string, prefix: string): void => {
    names.set(model, `${prefix}.${bareName(model)}`);
  };
  for (const model of metaModels) if (models.has(model)) give(model, meta);
  const roots = [
    ...kinds.map(({ model, group, version }) => ({ model, prefix: packageOf(group, version) })),
    ...Object.entries(otherRoots).map(([model, prefix]) => ({ model, prefix })),
  ];
  for (const { model, prefix } of roots) give(model, prefix);
  for (const { model, prefix } of roots) {
    if (models.has(`${model}List`)) give(`${model}List`, prefix);
    const pending = [model];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const field of models.get(next)?.fields ?? []) {
        const inner = modelIn(field.type);
        if (inner === undefined || names.has(inner)) continue;
        give(inner, prefix);
        pending.push(inner);
      }
    }
  }
  return names;
}
