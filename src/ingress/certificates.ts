/** Certificates by the name a client asks for: those of the Ingresses' secrets, and one signed by itself for everybody else. */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Secret } from '../api/kinds.ts';
import type { Log } from '../world/world.ts';
import { namesOf, type TlsRoute } from './routes.ts';

interface Kept {
  readonly version: string;
  /** Undefined for a secret nobody can serve with. */
  readonly context: SecureContext | undefined;
}

export class Certificates {
  readonly #log: Log;
  readonly #secret: (namespace: string, name: string) => Secret | undefined;
  readonly #kept = new Map<string, Kept>();
  #byHost: ReadonlyMap<string, TlsRoute> = new Map();

  constructor(log: Log, secret: (namespace: string, name: string) => Secret | undefined) {
    this.#log = log;
    this.#secret = secret;
  }

  use(routes: readonly TlsRoute[]): void {
    const byHost = new Map<string, TlsRoute>();
    // Of two for one host, the older Ingress's.
    for (const route of routes) if (!byHost.has(route.host)) byHost.set(route.host, route);
    this.#byHost = byHost;
    const wanted = new Set(routes.map(keyOf));
    for (const key of this.#kept.keys()) if (!wanted.has(key)) this.#kept.delete(key);
  }

  /** Undefined for a name without a certificate of its own. */
  for(host: string): SecureContext | undefined {
    for (const name of namesOf(host.toLowerCase())) {
      const route = this.#byHost.get(name);
      const context = route && this.#contextOf(route);
      if (context !== undefined) return context;
    }
    return undefined;
  }

  /** Made when first asked for, and again when the secret has changed. */
  #contextOf(route: TlsRoute): SecureContext | undefined {
    const secret = this.#secret(route.namespace, route.secret);
    if (secret === undefined) return undefined;
    const { uid, resourceVersion } = secret.metadata;
    const [key, version] = [keyOf(route), `${uid} ${resourceVersion}`];
    const known = this.#kept.get(key);
    if (known?.version === version) return known.context;
    const kept = { version, context: this.#make(secret) };
    this.#kept.set(key, kept);
    return kept.context;
  }

  #make({ metadata: { namespace, name }, data = {} }: Secret): SecureContext | undefined {
    const pem = (field: string): string => Buffer.from(data[field] ?? '', 'base64').toString('utf8');
    try {
      return createSecureContext({ cert: pem('tls.crt'), key: pem('tls.key') });
    } catch (error) {
      this.#log.warn('a secret holds no usable certificate', {
        namespace,
        secret: name,
        error: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }
}

function keyOf({ namespace, secret }: TlsRoute): string {
  return `${namespace}/${secret}`;
}
