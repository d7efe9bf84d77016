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
  paths.add('/openapi/v2', (request) => conditional(request, documents.v2()));
}

interface Document {
  readonly body: Buffer;
  readonly etag: string;
}

const info = { title: 'Kubernetes', version: versionInfo.gitVersion } as const;
const bearer = { type: 'apiKey', description: 'Bearer token', name: 'authorization', in: 'header' } as const;

class Documents {
  private readonly verbs: Verbs;
  private generation = -1;
  private readonly made = new Map<string, Document>();

  constructor(verbs: Verbs) {
    this.verbs = verbs;
  }

  /** Where each document is, with a hash that changes when it does. */
  index(): object {
    const hash = createHash('sha256').update(`${versionInfo.gitVersion} ${this.verbs.kindsGeneration()}`).digest('hex').toUpperCase();
    const entries = groupsOf(this.verbs.kinds()).flatMap(({ group, versions }) =>
      versions.map(({ version }) => {
        const path = group === '' ? `api/${version}` : `apis/${group}/${version}`;
        return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
      }),
    );
    return { paths: Object.fromEntries(entries) };
  }

  /** Throws a 404 for a group and version that are not served. */
  v3(path: string): Document {
    return this.keep(path, () => {
      const kinds = this.verbs.kinds().filter(({ group, version }) => path === (group === '' ? `api/${version}` : `apis/${group}/${version}`));
      if (kinds.length === 0) throw notFoundPath();
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
    return this.keep('v2', () => {
      const { definitions, operations } = describe(this.verbs.kinds(), openApi2);
      return { swagger: '2.0', info, paths: operations, definitions, securityDefinitions: { BearerToken: bearer }, security: [{ BearerToken: [] }] };
    });
  }

  private keep(key: string, make: () => object): Document {
    const generation = this.verbs.kindsGeneration();
    if (generation !== this.generation) {
      this.generation = generation;
      this.made.clear();
    }
    let document = this.made.get(key);
    if (document === undefined) {
      const body = Buffer.from(JSON.stringify(make()));
      document = { body, etag: `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"` };
      this.made.set(key, document);
    }
    return document;
  }
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

function conditional({ headers }: PathRequest, { body, etag }: Document): PathAnswer {
  const ranges = headers.accept === undefined ? [] : parseAccept(headers.accept);
  const takesJson = ranges.length === 0 || ranges.some(({ type }) => type === 'application/json' || type === '*/*' || type === 'application/*');
  if (!takesJson) throw notAcceptable(['application/json']);
  const shared = { etag, vary: 'Accept' };
  if (headers['if-none-match'] === etag) return { code: 304, contentType: 'application/json', body: '', headers: shared };
  return { code: 200, contentType: 'application/json', body, headers: shared };
}
