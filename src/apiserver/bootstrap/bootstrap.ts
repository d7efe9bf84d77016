/**
 * What every cluster has from the start: the system namespaces, RBAC's default policy, the two system priority classes, and the `kubernetes` Service.
 * Run at each start, it changes only what is missing, through the verbs like any client, as the server's own user; in an empty store most of it is written at
 * once.
 */
import {
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  Endpoints,
  EndpointSlice,
  FlowSchema,
  Namespace,
  PriorityClass,
  PriorityLevelConfiguration,
  Role,
  RoleBinding,
  Service,
  ServiceCIDR,
} from '../../api/kinds.ts';
import { apiVersionOf, type Kind } from '../../api/kind.ts';
import type { V1ServicePort } from '../../api/types.ts';
import { isReason } from '../../machinery/errors.ts';
import type { Draft, KubeObject } from '../../machinery/object.ts';
import { equal } from '../../machinery/equal.ts';
import { defaultServiceCidr } from '../allocation/service-cidrs.ts';
import { authenticationConfig } from '../aggregation/authentication-config.ts';
import { dayLength, legacyTokenTrackingName } from '../authentication/legacy-token-use.ts';
import { timestamp } from '../../world/world.ts';
import { askSelf } from '../own-requests.ts';
import type { Verbs } from '../verbs.ts';
import { bootstrapFlowSchemas, bootstrapPriorityLevels, respecified } from '../flow-control/bootstrap-objects.ts';
import { firstObjects, systemNamespaces, systemPriorityClasses } from './first-objects.ts';
import { kubernetesService, type Advertised } from './kubernetes-service.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles, bootstrapRoleBindings, bootstrapRoles, reconciled } from './policy.ts';

export interface BootstrapOptions {
  readonly serviceCidr: string;
  readonly advertise?: Advertised;
  /** What servers of aggregated APIs have to know about who asks them. */
  readonly authentication?: Readonly<Record<string, string>>;
  /** Since when it is known which tokens in Secrets are used, for a cluster in which nobody looked before. */
  readonly nowMs: number;
}

export async function bootstrap(verbs: Verbs, options: BootstrapOptions): Promise<void> {
  const isNew = verbs.count(Namespace) === 0 && (await verbs.createFirst(firstObjects(verbs.kinds())));
  if (!isNew) await bootstrapPolicy(verbs);
  const writer = new Writer(verbs);
  const { authentication } = options;
  await Promise.all([
    publishServer(verbs, options),
    writer.ensure(ConfigMap, {
      metadata: { name: legacyTokenTrackingName, namespace: 'kube-system' },
      data: { since: timestamp(options.nowMs).slice(0, dayLength) },
    }),
    ...(authentication
      ? [
          writer.ensure(ConfigMap, { metadata: authenticationConfig, data: authentication }, (present) =>
            withFields(present, { data: authentication }),
          ),
        ]
      : []),
  ]);
}

/** What does not depend on how the server is configured; the same as {@link firstObjects}, one by one, beside what is there. */
export async function bootstrapPolicy(verbs: Verbs): Promise<void> {
  const writer = new Writer(verbs);
  await Promise.all([
    ...systemNamespaces.map((name) => writer.ensure(Namespace, { metadata: { name }, spec: {} })),
    ...systemPriorityClasses.map((priorityClass) => writer.ensure(PriorityClass, priorityClass)),
    bootstrapFlowControl(verbs),
    ...bootstrapClusterRoles().map((role) => writer.ensure(ClusterRole, role, (present) => reconciled(present, role))),
    ...bootstrapClusterRoleBindings().map((binding) => writer.ensure(ClusterRoleBinding, binding, (present) => reconciled(present, binding))),
  ]);
  // These need their namespaces.
  await Promise.all([
    ...bootstrapRoles().map((role) => writer.ensure(Role, role, (present) => reconciled(present, role))),
    ...bootstrapRoleBindings().map((binding) => writer.ensure(RoleBinding, binding, (present) => reconciled(present, binding))),
  ]);
}

export async function bootstrapFlowControl(verbs: Verbs): Promise<void> {
  const writer = new Writer(verbs);
  await Promise.all([
    ...bootstrapPriorityLevels().map((level) => writer.ensure(PriorityLevelConfiguration, level, (present) => respecified(present, level))),
    ...bootstrapFlowSchemas().map((schema) => writer.ensure(FlowSchema, schema, (present) => respecified(present, schema))),
  ]);
}

/** The `kubernetes` Service and its endpoints as they have to be; writes nothing when they are. Somebody may delete them: then they come back. */
export async function publishServer(verbs: Verbs, { serviceCidr, advertise }: BootstrapOptions): Promise<void> {
  const writer = new Writer(verbs);
  const cidrs = serviceCidr.split(',').map((cidr) => cidr.trim());
  const { service, endpoints, slice } = kubernetesService(cidrs[0] ?? '', advertise);
  await publishServiceCidr(verbs, writer, cidrs);
  await Promise.all([
    writer.ensure(Service, service, (present) => withPorts(present, service.spec.ports ?? [])),
    ...(endpoints ? [writer.ensure(Endpoints, endpoints, (present) => withFields(present, { subsets: endpoints.subsets }))] : []),
    ...(slice
      ? [writer.ensure(EndpointSlice, slice, (present) => withFields(present, { endpoints: slice.endpoints, ports: slice.ports ?? [] }))]
      : []),
  ]);
}

/**
 * The ServiceCIDR `kubernetes` says what ranges the server is configured with, and is ready when it says the same. One range may become two, of both
 * families; another range is for people to settle. Upstream's `kubernetes-service-cidr-controller`.
 */
async function publishServiceCidr(verbs: Verbs, writer: Writer, cidrs: readonly string[]): Promise<void> {
  await writer.ensure(ServiceCIDR, { metadata: { name: defaultServiceCidr }, spec: { cidrs: [...cidrs] } }, (present) => {
    const { cidrs: stored = [] } = present.spec;
    const grows = stored.length === 1 && cidrs.length === 2 && stored[0] === cidrs[0];
    return grows && present.metadata.deletionTimestamp === undefined ? { ...present, spec: { cidrs: [...cidrs] } } : undefined;
  });
  const present = verbs.objects.get(ServiceCIDR, undefined, defaultServiceCidr);
  if (present === undefined || present.metadata.deletionTimestamp !== undefined || !equal(present.spec.cidrs, cidrs)) return;
  if (present.status?.conditions?.some(({ type, status }) => type === 'Ready' && status !== 'Unknown')) return;
  const message = 'Kubernetes default Service CIDR is ready';
  await writer.applyStatus(ServiceCIDR, defaultServiceCidr, 'kubernetes-service-cidr-controller', {
    conditions: [{ type: 'Ready', status: 'True', message, reason: '', lastTransitionTime: present.metadata.creationTimestamp }],
  });
}

/** A server that moved to another port says so; what people changed besides stays. */
function withPorts(present: Service, ports: readonly V1ServicePort[]): Service | undefined {
  return equal(present.spec.ports, ports) ? undefined : { ...present, spec: { ...present.spec, ports: [...ports] } };
}

/** The object with these fields as given; undefined when they are so already. */
function withFields<T extends KubeObject>(present: T, fields: { [K in keyof T]?: T[K] | undefined }): T | undefined {
  const same = Object.entries(fields).every(([field, value]) => equal(Reflect.get(present, field), value));
  return same ? undefined : { ...present, ...fields };
}

class Writer {
  private readonly verbs: Verbs;

  constructor(verbs: Verbs) {
    this.verbs = verbs;
  }

  /** Creates the object unless it is there; then `mend` may answer what to write over it. */
  async ensure<T extends KubeObject>(kind: Kind<T>, draft: Draft<T>, mend?: (present: T) => T | undefined): Promise<void> {
    const { name = '', namespace } = draft.metadata as { name?: string; namespace?: string };
    const present = this.verbs.objects.get(kind, namespace, name);
    if (present === undefined) {
      const body = { kind: kind.kind, apiVersion: apiVersionOf(kind), ...draft };
      await askSelf(this.verbs, 'create', kind, { namespace, body }).catch((error: unknown) => {
        // Another server of the cluster was quicker.
        if (!isReason(error, 'AlreadyExists')) throw error;
      });
      return;
    }
    const mended = mend?.(present);
    if (mended === undefined) return;
    await askSelf(this.verbs, 'update', kind, { namespace, name, body: mended }).catch((error: unknown) => {
      // Somebody else is writing it: the next start looks again.
      if (!isReason(error, 'Conflict')) throw error;
    });
  }

  /** Makes these fields of the status the manager's, whoever had them. */
  async applyStatus<T extends KubeObject>(kind: Kind<T>, name: string, manager: string, status: object): Promise<void> {
    const body = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: { name }, status };
    await askSelf(this.verbs, 'patch', kind, {
      name,
      body,
      subresource: 'status',
      query: new URLSearchParams({ fieldManager: manager, force: 'true' }),
      contentType: 'application/apply-patch+yaml',
    });
  }
}
