/** Kinds that custom resource definitions add while the cluster runs, as far as a controller that only reads metadata and deletes needs them. */
import type { CustomResourceDefinition } from '../api/kinds.ts';
import { type Kind, allVerbs } from '../api/kind.ts';
import { conditionOf } from './conditions.ts';

/** The kind as stored; undefined while the definition is not established. */
export function kindOfDefinition({ spec, status }: CustomResourceDefinition): Kind | undefined {
  if (conditionOf(status.conditions, 'Established')?.status !== 'True') return undefined;
  const version = spec.versions.find((candidate) => candidate.storage && candidate.served) ?? spec.versions.find((candidate) => candidate.served);
  if (!version) return undefined;
  return {
    group: spec.group,
    version: version.name,
    kind: spec.names.kind,
    resource: spec.names.plural,
    singular: spec.names.singular ?? spec.names.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: spec.scope === 'Namespaced',
    verbs: allVerbs,
    schema: { type: 'object', name: '', properties: {}, mapType: 'granular', preserveUnknown: true },
    subresources: {},
    nameRule: 'dns-subdomain',
    generation: true,
    selectableFields: {},
    columns: [],
  };
}
