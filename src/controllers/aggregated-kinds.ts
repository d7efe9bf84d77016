/** Kinds that other servers behind the aggregator serve, found by asking them, as far as a controller that lists and deletes needs them. */
import { type Kind, type Verb, allVerbs } from '../api/kind.ts';
import type { APIService } from '../api/kinds.ts';
import type { Client } from '../client/client.ts';
import { messageOf } from './errors.ts';

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly singularName?: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs: readonly string[];
  }[];
}

export interface AggregatedKinds {
  readonly kinds: readonly Kind[];
  /** Groups nobody answers for, and why: `metrics.k8s.io/v1beta1: the server is currently unable to handle the request`. */
  readonly failures: readonly string[];
}

/** Asks every server once; one version of a group is enough. */
export async function aggregatedKinds(client: Client, services: readonly APIService[]): Promise<AggregatedKinds> {
  const newest = new Map<string, APIService>();
  for (const service of services) {
    if (service.spec.service === undefined) continue;
    const known = newest.get(service.spec.group ?? '');
    if (!known || known.spec.versionPriority < service.spec.versionPriority) newest.set(service.spec.group ?? '', service);
  }
  const failures: string[] = [];
  const found = await Promise.all(
    [...newest.values()].map(async ({ spec: { group = '', version = '' } }) => {
      try {
        const list = (await client.transport.request({ method: 'GET', path: `/apis/${group}/${version}` })) as ResourceList;
        return kindsOf(group, version, list);
      } catch (error) {
        failures.push(`${group}/${version}: ${messageOf(error)}`);
        return [];
      }
    }),
  );
  return { kinds: found.flat(), failures: failures.sort() };
}

function kindsOf(group: string, version: string, { resources = [] }: ResourceList): Kind[] {
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map(({ name, singularName, kind, namespaced, verbs }) => ({
      group,
      version,
      kind,
      resource: name,
      singular: singularName ?? kind.toLowerCase(),
      shortNames: [],
      categories: [],
      namespaced,
      verbs: allVerbs.filter((verb: Verb) => verbs.includes(verb)),
      schema: { type: 'object', name: '', properties: {}, mapType: 'granular', preserveUnknown: true },
      subresources: {},
      nameRule: 'dns-subdomain',
      generation: true,
      selectableFields: {},
      columns: [],
    }));
}
