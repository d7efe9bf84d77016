/**
 * `/openapi/v3` (an index, and a document per group and version) and `/openapi/v2` (all in one). Made when first asked for, kept until the kinds change.
 * See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
 */
import { createHash } from 'node:crypto';
import type { Kind } from '../../api/kind.ts';
import { notAcceptable, notFoundPath } from '../../machinery/errors.ts';
import { groupsOf } from '../discovery/resources.ts';
import { parseAccept } from '../http/negotiate.ts';
import type { PathAnswer, PathRequest, Paths } from '../http/paths.ts';
import { versionInfo } from '../http/version.ts';
import type { Verbs } from '../verbs.ts';
import type { Aggregator } from '../aggregation/aggregator.ts';
import { Definitions } from './definitions.ts';
import { type Dialect, openApi2, openApi3 } from './dialect.ts';
import { encodeGnostic, gnosticContentType, gnosticMediaType } from './gnostic.ts';
import { mergeRemote } from './merge-remote.ts';
import { Operations } from './operations.ts';

export function addOpenApiPaths(paths: Paths, verbs: Verbs, aggregator: Aggregator): void {
  const documents = new Documents(verbs, aggregator);
  paths.add('/openapi/v3', (request) => conditional(request, documents.index(), 'application/json'));
  paths.add('/openapi/v3/', (request) => hashed(request, documents.v3(request.path.slice('/openapi/v3/'.length))));
  paths.add('/openapi/v2', (request) =>
    takesGnostic(request) ? conditional(request, documents.gnostic(), gnosticContentType) : conditional(request, documents.v2(), 'application/json'),
  );
}

interface Document {
  readonly body: Buffer;
  /** Of the body, in quotes an ETag. */
  readonly hash: string;
}

const info = { title: 'Kubernetes', version: versionInfo.gitVersion } as const;
const bearer = { type: 'apiKey', description: 'Bearer token', name: 'authorization', in: 'header' } as const;

class Documents {
  private readonly verbs: Verbs;
  private readonly aggregator: Aggregator;
  /** Kept as long as nothing changes about the kinds in them: a definition that comes costs no other group's document. */
  private readonly made = new Map<string, Document & { readonly revision: string }>();

  constructor(verbs: Verbs, aggregator: Aggregator) {
    this.verbs = verbs;
    this.aggregator = aggregator;
  }

  /** Where each document is, with a hash that changes when it does. */
  index(): Document {
    return this.keep('index', this.revision(), () => ({
      paths: Object.fromEntries(
        [...this.places()].map(([path, hash]) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${encodeURIComponent(hash)}` }]),
      ),
    }));
  }

  /** The document of a group and version, and the hash the index tells for it. Throws a 404 for what is not served. */
  v3(path: string): Document {
    const remote = this.aggregator.openApi().get(path)?.v3;
    if (remote !== undefined) return remote;
    const kinds = this.verbs.kinds().filter((kind) => placeOf(kind) === path);
    if (kinds.length === 0) {
      this.made.delete(path);
      throw notFoundPath();
    }
    const document = this.keep(path, revisionsOf(kinds), () => {
      const { definitions, operations } = describe(kinds, openApi3);
      return {
        openapi: '3.0.0',
        info,
        paths: operations,
        components: { schemas: definitions, securitySchemes: { BearerToken: bearer } },
      };
    });
    return { body: document.body, hash: hashOfKinds(kinds) };
  }

  v2(): Document {
    return this.keep('v2', this.revision(), () => this.swagger());
  }

  gnostic(): Document {
    return this.keepBytes('gnostic', this.revision(), () => encodeGnostic(JSON.parse(this.v2().body.toString('utf8'))));
  }

  private swagger(): object {
    const { definitions, operations } = describe(this.verbs.kinds(), openApi2);
    const document = {
      swagger: '2.0',
      info,
      paths: operations as Record<string, unknown>,
      definitions: definitions as Record<string, unknown>,
      securityDefinitions: { BearerToken: bearer },
      security: [{ BearerToken: [] }],
    };
    for (const [path, { v2 }] of this.aggregator.openApi()) if (v2) mergeRemote(document, v2.document, `/${path}`);
    return document;
  }

  private places(): Map<string, string> {
    const places = new Map<string, string>();
    for (const { group, versions } of groupsOf(this.verbs.kinds())) {
      for (const { version, kinds } of versions) places.set(placeOf({ group, version }), hashOfKinds(kinds));
    }
    for (const [path, { v3 }] of this.aggregator.openApi()) {
      if (v3) places.set(path, v3.hash);
      else places.delete(path);
    }
    return places;
  }

  private revision(): string {
    return `${this.verbs.kindsGeneration()} ${this.aggregator.generation()}`;
  }

  private keep(key: string, revision: string, make: () => object): Document {
    return this.keepBytes(key, revision, () => Buffer.from(JSON.stringify(make())));
  }

  private keepBytes(key: string, revision: string, make: () => Buffer): Document {
    let document = this.made.get(key);
    if (document?.revision !== revision) {
      const body = make();
      document = { body, hash: createHash('sha256').update(body).digest('hex').toUpperCase(), revision };
      this.made.set(key, document);
    }
    return document;
  }
}

function placeOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

/** Without making the document: the index is asked for more often than what it names. */
function hashOfKinds(kinds: readonly Kind[]): string {
  return createHash('sha256')
    .update(`${versionInfo.gitVersion} ${revisionsOf(kinds)}`)
    .digest('hex')
    .toUpperCase();
}

/** Changes with what is said about any of the kinds. */
function revisionsOf(kinds: readonly Kind[]): string {
  const lines = kinds.map(({ resource, custom }) => `${resource} ${custom?.revision ?? ''}`);
  return lines.sort().join('\n');
}

export function describe(kinds: readonly Kind[], dialect: Dialect): { definitions: object; operations: object } {
  const definitions = new Definitions(dialect);
  const operations = new Operations(dialect, definitions);
  for (const kind of kinds) {
    definitions.addKind(kind);
    operations.addKind(kind);
  }
  return { operations: operations.all(), definitions: definitions.all() };
}

/** Old clients know no other form; newer ones ask for it when version 3 does not know a kind. */
function takesGnostic({ headers }: PathRequest): boolean {
  return headers.accept !== undefined && parseAccept(headers.accept)[0]?.type === gnosticMediaType;
}

/** A document asked for by its hash never changes: whoever has it need not ask again. By another hash it is elsewhere. */
function hashed(request: PathRequest, document: Document): PathAnswer {
  const asked = request.query.get('hash');
  if (asked === null || asked === '') return conditional(request, document, 'application/json');
  if (asked !== document.hash) {
    const location = `${request.path}?hash=${encodeURIComponent(document.hash)}`;
    return { code: 301, contentType: 'text/html; charset=utf-8', body: '', headers: { location } };
  }
  const answer = conditional(request, document, 'application/json');
  return { ...answer, headers: { ...answer.headers, 'cache-control': 'public, immutable', expires: farFuture } };
}

/** Any time that is long after the process: the hash says whether a document still is the one. */
const farFuture = 'Fri, 31 Dec 9999 23:59:59 GMT';

function conditional({ headers }: PathRequest, { body, hash }: Document, contentType: string): PathAnswer {
  const ranges = headers.accept === undefined ? [] : parseAccept(headers.accept);
  const takesIt =
    contentType !== 'application/json' ||
    ranges.length === 0 ||
    ranges.some(({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*');
  if (!takesIt) throw notAcceptable(['application/json', gnosticMediaType]);
  const shared = { etag: `"${hash}"`, vary: 'Accept' };
  if (headers['if-none-match'] === shared.etag) return { code: 304, contentType, body: '', headers: shared };
  return { code: 200, contentType, body, headers: shared };
}
