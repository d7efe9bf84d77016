/** The OpenAPI documents of a remote API, fetched when it becomes available and now and then, and kept: asking for them costs it nothing. */
import { isFields } from '../custom-resources/structure.ts';
import type { RemoteApi } from './remote-api.ts';

const timeoutMs = 10_000;

export interface RemoteDocument {
  readonly body: Buffer;
  /** Changes with the body. */
  readonly hash: string;
}

export class RemoteOpenApi {
  /** Of the API's group and version; undefined for a server that has none. */
  v3: RemoteDocument | undefined;
  /** All the server says; undefined for a server that has none. */
  v2: { readonly document: Readonly<Record<string, unknown>>; readonly hash: string } | undefined;
  readonly #api: RemoteApi;
  readonly #digest: (bytes: Buffer) => string;

  constructor(api: RemoteApi, digest: (bytes: Buffer) => string) {
    this.#api = api;
    this.#digest = digest;
  }

  /** Answers whether anything changed. A server without documents, or with unusable ones, is as good as any other. */
  async refresh(): Promise<boolean> {
    const before = `${this.v3?.hash ?? ''} ${this.v2?.hash ?? ''}`;
    const { group = '', version = '' } = this.#api.spec;
    const v3 = await this.#get(`/openapi/v3/apis/${group}/${version}`, this.v3?.hash);
    if (v3 !== 'same') this.v3 = v3;
    const v2 = await this.#get('/openapi/v2', this.v2?.hash);
    if (v2 !== 'same') {
      const document = v2 && parsed(v2.body);
      this.v2 = v2 && document && { document, hash: v2.hash };
    }
    return before !== `${this.v3?.hash ?? ''} ${this.v2?.hash ?? ''}`;
  }

  async #get(path: string, known: string | undefined): Promise<RemoteDocument | 'same' | undefined> {
    try {
      const { code, body } = await this.#api.fetch(path, { timeoutMs });
      if (code !== 200 || parsed(body) === undefined) return undefined;
      const hash = this.#digest(body);
      return hash === known ? 'same' : { body, hash };
    } catch {
      return known === undefined ? undefined : 'same';
    }
  }
}

function parsed(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
