/**
 * IPAddress objects: for every cluster address of a Service there is one that says whose it is. They are written and deleted in the same commit as the
 * Service, so neither ever is without the other. See https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
 */
import { IPAddress, type Service } from '../../api/kinds.ts';
import { apiVersionOf } from '../../api/kind.ts';
import { trackUpdate } from '../../machinery/apply.ts';
import { formatIp, tryParseIp } from '../../machinery/ip.ts';
import { timestamp, type World } from '../../world/world.ts';
import type { Alongside } from '../admission/admission.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Entry } from '../registry/encoding.ts';
import type { Registry } from '../registry/registry.ts';
import type { ServedKind } from '../registry/served-kind.ts';
import { putOf } from '../verbs/commit.ts';
import { planDelete } from '../verbs/delete-plan.ts';

export const familyLabel = 'ipaddress.kubernetes.io/ip-family';
export const managedByLabel = 'ipaddress.kubernetes.io/managed-by';
export const allocatorName = 'ipallocator.k8s.io';

export class AddressObjects {
  readonly served: ServedKind;
  readonly #registry: Registry;
  readonly #world: World;

  constructor(registry: Registry, world: World) {
    this.#registry = registry;
    this.#world = world;
    this.served = registry.servedKind(IPAddress);
  }

  entry(ip: string): Entry | undefined {
    return this.served.cache.get(ip);
  }

  /** Adds to a write what makes the address the Service's; nothing when it has an object already. */
  addClaim(alongside: Alongside, ip: string, { metadata: { namespace, name } }: Pick<Service, 'metadata'>): void {
    const canonical = canonicalIp(ip);
    if (canonical === undefined || this.entry(canonical) !== undefined) return;
    const put = putOf({ registry: this.#registry, world: this.#world }, this.served, canonical, this.#make(canonical, namespace ?? '', name));
    alongside.add(put, { key: put.key, modRevision: 0 });
  }

  /** Adds to a write what gives the address up, if it is this Service's by the allocator's own hand. */
  addRelease(alongside: Alongside, ip: string, { metadata: { namespace, name } }: Pick<Service, 'metadata'>): void {
    const entry = this.entry(canonicalIp(ip) ?? '');
    const address = entry?.object as IPAddress | undefined;
    if (!entry || !address || !isManaged(address) || serviceOf(address) !== `${namespace}/${name}`) return;
    const key = this.served.cache.prefix + entry.path;
    const guard = { key, modRevision: entry.revision };
    const plan = planDelete(this.served.stored, entry.object as AnyObject, noOptions, this.#world.clock.now());
    if (plan.action === 'remove') alongside.add({ type: 'delete', key }, guard);
    else if (plan.action === 'mark')
      alongside.add(putOf({ registry: this.#registry, world: this.#world }, this.served, entry.path, plan.object), guard);
  }

  #make(ip: string, namespace: string, name: string): AnyObject {
    const time = timestamp(this.#world.clock.now());
    const object: AnyObject = {
      kind: IPAddress.kind,
      apiVersion: apiVersionOf(IPAddress),
      metadata: {
        name: ip,
        uid: this.#world.random.uid(),
        resourceVersion: '',
        creationTimestamp: time,
        labels: { [familyLabel]: ip.includes(':') ? 'IPv6' : 'IPv4', [managedByLabel]: allocatorName },
      },
      spec: { parentRef: { resource: 'services', namespace, name } },
    };
    if (this.served.stored.generation) object.metadata.generation = 1;
    object.metadata.managedFields = trackUpdate({
      after: object,
      schema: this.served.storedSchema,
      manager: 'kube-apiserver',
      apiVersion: this.served.storedApiVersion,
      time,
    });
    return object;
  }
}

const noOptions = { gracePeriodSeconds: undefined, propagationPolicy: undefined };

export function canonicalIp(ip: string): string | undefined {
  const address = tryParseIp(ip);
  return address && formatIp(address);
}

export function isManaged({ metadata }: IPAddress): boolean {
  return metadata.labels?.[managedByLabel] === allocatorName;
}

/** The path of the Service an object names, `namespace/name`; undefined when it names something else. */
export function serviceOf({ spec: { parentRef } }: IPAddress): string | undefined {
  const { group = '', resource, namespace = '', name } = parentRef;
  return group === '' && resource === 'services' ? `${namespace}/${name}` : undefined;
}
