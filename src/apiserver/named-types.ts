/** Types by their definition's public name, such as `io.k8s.api.autoscaling.v1.Scale`: also those that are no kind of their own. */
import { modelNames, schemaOf } from '../api/schemas.ts';
import type { ObjectSchema } from '../machinery/schema.ts';

let modelsByName: Map<string, string> | undefined;

/** Undefined when there is no such type. */
export function schemaNamed(name: string): ObjectSchema | undefined {
  modelsByName ??= new Map(modelNames().map((model) => [schemaOf(model).name, model]));
  const model = modelsByName.get(name);
  return model === undefined ? undefined : schemaOf(model);
}

/** The definition of a type served in a group, as built-in types are named. */
export function builtInName(group: string, version: string, kind: string): string {
  const prefix = group === 'apiregistration.k8s.io' ? 'io.k8s.kube-aggregator.pkg.apis' : 'io.k8s.api';
  return `${prefix}.${group === '' ? 'core' : (group.split('.')[0] ?? '')}.${version}.${kind}`;
}

export const metaV1 = 'io.k8s.apimachinery.pkg.apis.meta.v1';
