/**
 * What other parts of the cluster know and the server does not keep: computed when it is read, authorized like anything else. Whoever puts the server
 * together registers it.
 */
import type { Kind } from '../api/kind.ts';
import { badRequest, methodNotAllowed, notFound } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import { parseFieldSelector, parseLabelSelector, SelectorError } from '../machinery/selector.ts';
import { apiVersionOf } from '../api/kind.ts';
import type { NowOrLater } from './now-or-later.ts';
import type { Answer, Call, Encoded } from './request.ts';

/** `group/version/resource/subresource`, and who answers a GET of it with a JSON value. What it throws is answered like any error. */
export type ComputedResources = ReadonlyMap<string, (call: Call) => object>;

/** A virtual kind that is read and never written: `get` and `list`. */
export interface ComputedKind<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  /** What there is now: all of them, those of a namespace, or the one of a name. */
  read(namespace: string | undefined, name: string | undefined): NowOrLater<readonly T[]>;
}

/** Carries out an authorized call. */
export async function answerComputedKind({ kind, read }: ComputedKind, { verb, target, query }: Call): Promise<Answer> {
  const { namespace, name } = target;
  if (target.subresource !== undefined || (verb !== 'get' && verb !== 'list')) throw methodNotAllowed(kind, verb);
  if (verb === 'get') {
    const [object] = await read(namespace, name);
    // By the kind's name, as upstream's metrics-server says it: the resource's would be taken for the thing that is measured.
    if (object === undefined) throw notFound({ group: kind.group, resource: kind.kind.toLowerCase() }, [namespace, name].filter(Boolean).join('/'));
    return { type: 'object', code: 200, ...encoded(object) };
  }
  const isSelected = selectionOf(query);
  const objects = (await read(namespace, undefined)).filter(isSelected);
  const placeOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;
  return {
    type: 'list',
    kind: `${kind.kind}List`,
    apiVersion: apiVersionOf(kind),
    metadata: { resourceVersion: '' },
    items: objects.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1)).map(encoded),
  };
}

function encoded(object: KubeObject): Encoded {
  return { object, bytes: Buffer.from(JSON.stringify(object)) };
}

function selectionOf(query: URLSearchParams): (object: KubeObject) => boolean {
  try {
    const labels = parseLabelSelector(query.get('labelSelector') ?? '');
    const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
    for (const { field } of fields.requirements) {
      if (field !== 'metadata.name' && field !== 'metadata.namespace') throw badRequest(`field label not supported: ${field}`);
    }
    return ({ metadata }) =>
      labels.matches(metadata.labels) && fields.matches((field) => (field === 'metadata.name' ? metadata.name : (metadata.namespace ?? '')));
  } catch (error) {
    throw error instanceof SelectorError ? badRequest(error.message) : error;
  }
}
