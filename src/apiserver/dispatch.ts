/** The middle of the server, the same for HTTP and for connections in this process: authorize a call, then give it to whoever answers it. */
import { badRequest, methodNotAllowed, notFoundPath } from '../machinery/errors.ts';
import { type Attributes, type Authorizer, checkNowOrLater, type Decision } from './authorization/authorizer.ts';
import type { NowOrLater } from './now-or-later.ts';
import type { Answer, Call, RequestVerb, ResourceTarget, User } from './request.ts';
import type { Verbs } from './verbs.ts';
import { answerComputedKind, type ComputedKind, type ComputedResources } from './computed.ts';
import type { VirtualResources } from './virtual.ts';

export class Dispatcher {
  readonly verbs: Verbs;
  readonly authorizer: Authorizer;
  private readonly virtual: VirtualResources;
  private readonly computed: ComputedResources;
  private readonly computedKinds: readonly ComputedKind[];

  constructor(options: {
    verbs: Verbs;
    authorizer: Authorizer;
    virtual: VirtualResources;
    computed?: ComputedResources;
    computedKinds?: readonly ComputedKind[];
  }) {
    this.verbs = options.verbs;
    this.authorizer = options.authorizer;
    this.virtual = options.virtual;
    this.computed = options.computed ?? new Map();
    this.computedKinds = options.computedKinds ?? [];
  }

  /** Throws (or rejects with) a 403 unless the user may. */
  authorize(user: User, verb: RequestVerb, target: ResourceTarget, queryText: string): NowOrLater<Decision> {
    return checkNowOrLater(this.authorizer, attributesOf(user, verb, target, queryText));
  }

  /** Throws (or rejects with) a 403 unless the user may use a path outside the resources. */
  authorizePath(user: User, verb: string, path: string): NowOrLater<Decision> {
    return checkNowOrLater(this.authorizer, attributesOfPath(user, verb, path));
  }

  /** Throws (or rejects with) a 403 unless this is allowed. */
  check(attributes: Attributes): NowOrLater<Decision> {
    return checkNowOrLater(this.authorizer, attributes);
  }

  /** Throws a 404 when there is no such resource, or not at this place. */
  checkTarget(target: ResourceTarget): void {
    const kind = this.verbs.kindAt(target.group, target.version, target.resource);
    if (kind === undefined && this.computed.has(computedKey(target))) return;
    if (kind === undefined) throw notFoundPath();
    if (target.subresource !== undefined && kind.subresources[target.subresource] === undefined) throw notFoundPath();
    if (kind.namespaced ? target.name !== undefined && target.namespace === undefined : target.namespace !== undefined) throw notFoundPath();
  }

  /** Carries out an authorized call. */
  handle(call: Call): Promise<Answer> {
    const { target } = call;
    const compute = this.computed.size === 0 ? undefined : this.computed.get(computedKey(target));
    if (compute !== undefined) return answerComputed(compute, call);
    for (const computed of this.computedKinds) if (isAbout(computed, target)) return answerComputedKind(computed, call);
    const handler = this.virtual.get(virtualKey(target));
    return handler === undefined ? this.verbs.handle(call) : answerVirtual(handler, call);
  }
}

// oxlint-disable-next-line require-await -- turns what is thrown into a rejection
async function answerVirtual(handler: (call: Call) => NowOrLater<Answer>, call: Call): Promise<Answer> {
  const { group, resource } = call.target;
  if (call.verb !== 'create') throw methodNotAllowed({ group, resource }, call.verb);
  return handler(call);
}

// oxlint-disable-next-line require-await -- turns what is thrown into a rejection
async function answerComputed(compute: (call: Call) => object, call: Call): Promise<Answer> {
  const { group, resource } = call.target;
  if (call.verb !== 'get') throw methodNotAllowed({ group, resource }, call.verb);
  return { type: 'status', code: 200, body: compute(call) };
}

function isAbout({ kind }: ComputedKind, { group, version, resource }: ResourceTarget): boolean {
  return kind.group === group && kind.resource === resource && kind.version === version;
}

function computedKey({ group, version, resource, subresource = '' }: ResourceTarget): string {
  return `${group}/${version}/${resource}/${subresource}`;
}

function virtualKey({ group, resource, subresource }: ResourceTarget): string {
  return subresource === undefined ? `${group}/${resource}` : `${group}/${resource}/${subresource}`;
}

export function attributesOfPath(user: User, verb: string, path: string): Attributes {
  return { user, verb, group: '', version: '', resource: '', subresource: '', namespace: '', name: '', path };
}

export function attributesOf(user: User, verb: RequestVerb, target: ResourceTarget, queryText: string): Attributes {
  const { group, version, resource, subresource, namespace, name } = target;
  return {
    user,
    verb,
    group,
    version,
    resource,
    subresource: subresource ?? '',
    // A namespace is inside itself: rights granted in it cover it.
    namespace: namespace ?? (resource === 'namespaces' && group === '' ? (name ?? '') : ''),
    name: name ?? (queryText.includes('fieldSelector') ? selectedName(queryText) : ''),
    path: '',
    ...(queryText.includes('Selector') && selectorsOf(queryText)),
  };
}

function selectorsOf(queryText: string): Pick<Attributes, 'fieldSelector' | 'labelSelector'> {
  const query = new URLSearchParams(queryText);
  return { fieldSelector: query.get('fieldSelector') ?? '', labelSelector: query.get('labelSelector') ?? '' };
}

/** Listing or watching `metadata.name=x` is allowed to who may list or watch x. */
function selectedName(queryText: string): string {
  const selector = new URLSearchParams(queryText).get('fieldSelector') ?? '';
  for (const term of selector.split(',')) {
    const match = /^metadata\.name==?([^=]+)$/.exec(term);
    if (match !== null) return match[1] ?? '';
  }
  return '';
}

/** For subresources that only make sense as a stream of bytes. */
export function needsHttp(subresource: string): Error {
  return badRequest(`${subresource} needs a connection over HTTP`);
}
