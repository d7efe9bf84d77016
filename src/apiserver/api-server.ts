/** The API server as the rest of the house sees it. `create-api-server.ts` builds one. */
import type { Store } from '../store/store.ts';
import type { World } from '../world/world.ts';
import type { AuditBackend } from './audit/audit.ts';
import type { AuditPolicy } from './audit/policy.ts';
import type { AuthenticationConfiguration } from './authentication/configuration.ts';
import type { OidcOptions } from './authentication/oidc.ts';
import type { RequestHeaderOptions } from './authentication/request-header.ts';
import type { TokenWebhookOptions } from './authentication/webhook-token.ts';
import type { AuthorizerChoice } from './authorization/modes.ts';
import type { ComputedKind, ComputedResources } from './computed.ts';
import type { EncryptionRule } from './encryption/configuration.ts';
import type { User } from './request.ts';

export interface ApiServerOptions {
  readonly world: World;
  readonly store: Store;
  /** `10.96.0.0/16`: where cluster IPs come from; the first address is the `kubernetes` Service. */
  readonly serviceCidr: string;
  /** Inclusive; upstream's default is 30000 to 32767. */
  readonly nodePortRange: { readonly from: number; readonly to: number };
  /** What the `kubernetes` Endpoints say, reachable from pods; absent for a server without a port. */
  readonly advertise?: { readonly address: string; readonly port: number };
  /** Of the machine: what the Lease is named after by which others see that this server lives. No such Lease when absent. */
  readonly hostname?: string;
  /** PEM; signs and checks service account tokens. A private key: RSA, or EC of curve P-256, P-384 or P-521. */
  readonly serviceAccountKey: string;
  readonly serviceAccountIssuer: string;
  /** Who a static bearer token stands for. */
  readonly staticTokens: ReadonlyMap<string, User>;
  /** Bundle of PEM certificates that client certificates must chain to; also published in `kube-root-ca.crt`. */
  readonly clientCa: string;
  /** PEM of public keys whose service account tokens are good, too: those that signed before. */
  readonly serviceAccountVerificationKeys?: readonly string[];
  /** Whom tokens for this server must be meant for; the issuer when absent. */
  readonly apiAudiences?: readonly string[];
  /** A proxy in front that authenticates users by itself. */
  readonly requestHeader?: RequestHeaderOptions;
  readonly oidc?: OidcOptions;
  readonly tokenWebhook?: TokenWebhookOptions;
  /** Whether requests may come without any proof, or on which paths; everywhere when absent (RBAC says how far they get). */
  readonly anonymousAuth?: boolean | readonly string[];
  /** Issuers and anonymous paths from a file; instead of `oidc`. */
  readonly authenticationConfiguration?: AuthenticationConfiguration;
  /** Who decides, in this order; Node and RBAC when absent. */
  readonly authorizers?: readonly AuthorizerChoice[];
  /** Whether bootstrap tokens prove who one is; they do when absent. */
  readonly bootstrapTokens?: boolean;
  /** Other names the issuer of tokens had: tokens with these are good, too. */
  readonly serviceAccountFormerIssuers?: readonly string[];
  /** Where others find the keys of service account tokens; below the issuer when absent. */
  readonly serviceAccountJwksUri?: string;
  /** The longest a service account token may be asked to last; 2^32 seconds when absent. */
  readonly serviceAccountMaxExpirationMs?: number;
  /** What is written down about requests, and where; nothing when absent. */
  readonly audit?: { readonly policy: AuditPolicy; readonly backend: AuditBackend };
  /** Which resources the store holds encrypted, and with which keys; none when absent. */
  readonly encryption?: readonly EncryptionRule[];
  /** How many requests are worked on at a time, over all priority levels; 600 when absent, no limits when 0. */
  readonly maxRequestsInFlight?: number;
  /** Client certificate shown to kubelets, and the CA theirs must chain to. */
  readonly kubeletClient?: {
    readonly certificate: string;
    readonly key: string;
    readonly ca: string;
    /** Where the kubelet of a node is, undefined when it is not up; absent, they are where their Nodes say. */
    readonly locate?: (nodeName: string) => { readonly host: string; readonly port: number } | undefined;
  };
  /** Client certificate shown to servers of aggregated APIs, which believe the identity headers it comes with. */
  readonly proxyClient?: { readonly certificate: string; readonly key: string };
  /** Read-only subresources that the rest of the cluster answers. */
  readonly computed?: ComputedResources;
  /** Kinds that the rest of the cluster answers for. An APIService that names another server for their group and version puts that in their place. */
  readonly computedKinds?: readonly ComputedKind[];
  /** What is shown at `/metrics` of others in the process besides: lines in Prometheus' text format. */
  readonly otherMetrics?: () => readonly string[];
  /** Whether the store's values stay as they are, as a memory store's do: the caches then share them. For clients in the process. */
  readonly sharesValues?: boolean;
  /** Admission plugins to run, or to leave out, against what upstream does by default; by upstream's names. */
  readonly admissionPlugins?: { readonly enabled?: readonly string[]; readonly disabled?: readonly string[] };
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM chain and key served. */
  readonly certificate: string;
  readonly key: string;
  readonly tls?: TlsSettings;
  readonly sni?: readonly NamedCertificate[];
}

/** OpenSSL's words throughout. */
export interface TlsSettings {
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Of TLS 1.2, in the order preferred; those of 1.3 are fixed. */
  readonly cipherSuites?: readonly string[];
  readonly curves?: readonly string[];
}

/** Served to clients that ask for one of the names: `example.com`, or `*.example.com` for one label more. */
export interface NamedCertificate {
  readonly names: readonly string[];
  readonly certificate: string;
  readonly key: string;
}

export interface ServingCertificates {
  /** PEM chain and key served. */
  readonly certificate: string;
  readonly key: string;
  /** As at the start when absent. */
  readonly clientCa?: string;
  /** As at the start when absent. */
  readonly sni?: readonly NamedCertificate[];
}

/** Structurally the client's `Transport`; layers keep the two apart. */
export interface InProcessConnection {
  request(request: InProcessRequest): Promise<unknown>;
  watch(request: InProcessRequest): AsyncIterable<{ readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; readonly object: never }>;
  readonly shared: true;
  close(): void;
}

export interface InProcessRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
}

export interface ApiServer {
  /** HTTPS, HTTP/1.1 and HTTP/2. Port 0 picks a free one; answers the port. */
  listen(options: ListenOptions): Promise<number>;
  /** Serves these from the next connection on, without a restart; open ones stay as they are. Throws when they do not go together. */
  replaceCertificates(certificates: ServingCertificates): void;
  replaceAuthentication(configuration: AuthenticationConfiguration): void;
  replaceAuthorizers(authorizers: readonly AuthorizerChoice[]): void;
  /** Reads and writes by these rules from now on. Rejects, and changes nothing, when something stored could not be read any more. */
  replaceEncryption(rules: readonly EncryptionRule[]): Promise<void>;
  /** A connection in this process, authorized and admitted as `user` on every call. */
  connect(user: User): InProcessConnection;
  /** Ends watches with a clean end, finishes requests under way, closes the port. Leaves the store to its owner. */
  close(): Promise<void>;
}
