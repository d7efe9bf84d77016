/**
 * `/openapi/v3` (an index, and a document per group and version) and `/openapi/v2` (all in one). Made when first asked for, kept until the kinds change.
 * See https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
 */
import { createHash } from 'node:crypto';
import type { Kind } from '../../api/kind.ts';
import { notAcceptable, notFoundPath } from '../../machinery/errors.ts';
import { groupsOf } from '../discovery/resources.ts';
import { parseAccept } from '../http/negotiate.ts';
import { jsonAnswer, type PathAnswer, type PathRequest, type Paths } from '../http/paths.ts';
import { versionInfo } from '../http/version.ts';
import type { Verbs } from '../verbs.ts';
import { Definitions } from './definitions.ts';
import { type Dialect, openApi2, openApi3 } from './dialect.ts';
import { Operations } from './operations.ts';

export function addOpenApiPaths(paths: Paths, verbs: Verbs): void {
  const documents = new Documents(verbs);
  paths.add('/openapi/v3', () => jsonAnswer(documents.index()));
  paths.add('/openapi/v3/', (request) => conditional(request, documents.v3(request.path.slice('/openapi/v3/'.length))));
  paths.add('/openapi/v2', (request) => protobufAnswer(request) ?? conditional(request, documents.v2()));
}

interface Document {
  readonly body: Buffer;
  readonly etag: string;
}

const info = { title: 'Kubernetes', version: versionInfo.gitVersion } as const;
const bearer = { type: 'apiKey', description: 'Bearer token', name: 'authorization', in: 'header' } as const;

class Documents {
  private readonly verbs: Verbs;
  /** Kept as long as nothing changes about the kinds in them: a definition that comes costs no other group's document. */
  private readonly made = new Map<string, Document & { readonly revision: string }>();

  constructor(verbs: Verbs) {
    this.verbs = verbs;
  }

  /** Where each document is, with a hash that changes when it does. */
  index(): object {
    const entries = groupsOf(this.verbs.kinds()).flatMap(({ group, versions }) =>
      versions.map(({ version, kinds }) => {
        const hash = createHash('sha256')
          .update(`${versionInfo.gitVersion} ${revisionsOf(kinds)}`)
          .digest('hex')
          .toUpperCase();
        const path = group === '' ? `api/${version}` : `apis/${group}/${version}`;
        return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
      }),
    );
    return { paths: Object.fromEntries(entries) };
  }

  /** Throws a 404 for a group and version that are not served. */
  v3(path: string): Document {
    const kinds = this.verbs.kinds().filter(({ group, version }) => path === (group === '' ? `api/${version}` : `apis/${group}/${version}`));
    if (kinds.length === 0) {
      this.made.delete(path);
      throw notFoundPath();
    }
    return this.keep(path, revisionsOf(kinds), () => {
      const { definitions, operations } = describe(kinds, openApi3);
      return {
        openapi: '3.0.0',
        info,
        paths: operations,
        components: { schemas: definitions, securitySchemes: { BearerToken: bearer } },
      };
    });
  }

  v2(): Document {
    return this.keep('v2', String(this.verbs.kindsGeneration()), () => {
      const { definitions, operations } = describe(this.verbs.kinds(), openApi2);
      return { swagger: '2.0', info, paths: operations, definitions, securityDefinitions: { BearerToken: bearer }, security: [{ BearerToken: [] }] };
    });
  }

  private keep(key: string, revision: string, make: () => object): Document {
    let document = this.made.get(key);
    if (document?.revision !== revision) {
      const body = Buffer.from(JSON.stringify(make()));
      document = { body, etag: `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"`, revision };
      this.made.set(key, document);
    }
    return document;
  }
}

/** Changes with what is said about any of the kinds. */
function revisionsOf(kinds: readonly Kind[]): string {
  return kinds.map(({ resource, custom }) => `${resource} ${custom?.revision ?? ''}`).join('\n');
}

function describe(kinds: readonly Kind[], dialect: Dialect): { definitions: object; operations: object } {
  const definitions = new Definitions(dialect);
  const operations = new Operations(dialect, definitions);
  for (const kind of kinds) {
    definitions.addKind(kind);
    operations.addKind(kind);
  }
  return { operations: operations.all(), definitions: definitions.all() };
}

const gnosticMediaType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

/**
 * kubectl asks for version 2 in protobuf when version 3 does not know a kind, to learn whether it is a custom one. The document it gets knows no
 * definitions either, which is all it needs to say "no matches for kind"; whoever wants definitions takes JSON.
 */
function protobufAnswer({ headers }: PathRequest): PathAnswer | undefined {
  if (headers.accept === undefined || parseAccept(headers.accept)[0]?.type !== gnosticMediaType) return undefined;
  return { code: 200, contentType: gnosticMediaType.replace('@', '.'), body: emptyGnosticDocument };
}

/** https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto: fields 1 (swagger), 2 (info: 1 title, 2 version) and 8 (paths). */
const emptyGnosticDocument = Buffer.concat([
  delimited(1, Buffer.from('2.0')),
  delimited(2, Buffer.concat([delimited(1, Buffer.from(info.title)), delimited(2, Buffer.from(info.version))])),
  delimited(8, Buffer.alloc(0)),
]);

/** A field of fewer than 128 bytes. */
function delimited(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
}

function conditional({ headers }: PathRequest, { body, etag }: Document): PathAnswer {
  const ranges = headers.accept === undefined ? [] : parseAccept(headers.accept);
  const takesJson = ranges.length === 0 || ranges.some(({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*');
  if (!takesJson) throw notAcceptable(['application/json']);
  const shared = { etag, vary: 'Accept' };
  if (headers['if-none-match'] === etag) return { code: 304, contentType: 'application/json', body: '', headers: shared };
  return { code: 200, contentType: 'application/json', body, headers: shared };
}
