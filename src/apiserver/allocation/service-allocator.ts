/**
 * Gives services their cluster IPs and node ports. What is taken follows from the watch cache (so it is right after a crash, and whoever deletes a service frees
 * what it had) and from the writes under way in this process. IPAddress objects are written along with the service.
 */
import { type IPAddress, Service, ServiceCIDR } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1ServiceSpec } from '../../api/types.ts';
import { internalError, invalid } from '../../machinery/errors.ts';
import { type FieldError, invalidValue } from '../../machinery/field-error.ts';
import type { World } from '../../world/world.ts';
import { Alongside } from '../admission/admission.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import { AddressObjects } from './address-objects.ts';
import { Pool, staticBand } from './pool.ts';
import { type IpFamily, ServiceAddresses } from './service-addresses.ts';
import { rangesInUse } from './service-cidrs.ts';
import {
  dropForeignFields,
  keepAllocations,
  normalizeClusterIps,
  settleFamilies,
  wantsClusterIps,
  wantsHealthCheckPort,
  wantsNodePorts,
} from './service-families.ts';

export interface ServiceAllocatorOptions {
  readonly registry: Registry;
  readonly world: World;
  /** One range, or one for each IP family with a comma between. */
  readonly serviceCidr: string;
  readonly nodePortRange: { readonly from: number; readonly to: number };
}

/** What one write of a service takes until it is settled. */
export interface Allocation {
  /**
   * Fills in what the validated service lacks. Throws when something asked for is taken; what was taken until then goes back by `settle`. Called again after
   * a commit that failed, it looks for other addresses.
   */
  allocate(): void;
  /** Adds to the commit what it means for IPAddress objects. */
  record(alongside: Alongside): void;
  /** The write is over: the cache knows by now if it happened. */
  settle(): void;
}

export class ServiceAllocator {
  readonly addresses: ServiceAddresses;
  readonly objects: AddressObjects;
  readonly #families: readonly IpFamily[];
  readonly #ports: Pool;
  readonly #portRange: { readonly from: number; readonly to: number };
  #writes = 0;

  constructor({ registry, world, serviceCidr, nodePortRange }: ServiceAllocatorOptions) {
    const configured = serviceCidr.split(',').map((cidr) => cidr.trim());
    this.#families = configured.map((cidr) => (cidr.includes(':') ? 'IPv6' : 'IPv4'));
    this.addresses = new ServiceAddresses(world.random);
    this.objects = new AddressObjects(registry, world);
    this.#portRange = nodePortRange;
    const size = nodePortRange.to - nodePortRange.from + 1;
    this.#ports = new Pool(size, staticBand(size, 16, 32, 128), world.random);

    const cidrs = registry.servedKind(ServiceCIDR).cache;
    const useRanges = (): void =>
      this.addresses.useRanges(
        rangesInUse(
          cidrs.list().map((entry) => entry.object as ServiceCIDR),
          configured,
        ),
      );
    useRanges();
    cidrs.onEvent(useRanges);
    const services = registry.servedKind(Service).cache;
    for (const entry of services.list()) this.#track(entry.object as Service, entry.path, 'hold');
    services.onEvent(({ current, previous }) => {
      // Both in one turn: what the old and the new have alike is at no time free.
      if (previous) this.#track(previous.object as Service, previous.path, 'release');
      if (current) this.#track(current.object as Service, current.path, 'hold');
    });
    // Somebody may take an address by an object of their own.
    const objects = this.objects.served.cache;
    const trackObject = ({ metadata: { name } }: IPAddress, change: 'hold' | 'release'): void => this.addresses[change](name, objectOwner);
    for (const entry of objects.list()) trackObject(entry.object as IPAddress, 'hold');
    objects.onEvent(({ current, previous }) => {
      if (current === undefined && previous) trackObject(previous.object as IPAddress, 'release');
      else if (current && previous === undefined) trackObject(current.object as IPAddress, 'hold');
    });
  }

  /**
   * Brings a service that is going to replace `old` (or to be made) to its stored form, but for what has yet to be allocated. Undefined for
   * other kinds.
   */
  begin(kind: Kind, object: AnyObject, old: AnyObject | undefined): Allocation | undefined {
    if (kind.resource !== 'services' || kind.group !== '') return undefined;
    const service = object as AnyObject & Service;
    const before = old as (AnyObject & Service) | undefined;
    if (!service.spec) return undefined;
    if (before) {
      dropForeignFields(service.spec, before.spec);
      keepAllocations(service.spec, before.spec);
    }
    normalizeClusterIps(service.spec, before?.spec);
    return new PendingAllocation(this, service, before, `write:${++this.#writes}`);
  }

  families(): readonly IpFamily[] {
    return this.#families;
  }

  /** What goes with a service that is deleted; undefined for other kinds, and for services without addresses. */
  leaving(kind: Kind, object: AnyObject): Alongside | undefined {
    if (kind.resource !== 'services' || kind.group !== '') return undefined;
    const service = object as AnyObject & Service;
    const alongside = new Alongside();
    for (const ip of ipsOf(service.spec)) this.objects.addRelease(alongside, ip, service);
    return alongside;
  }

  #track(service: Service, owner: string, change: 'hold' | 'release'): void {
    for (const ip of ipsOf(service.spec)) this.addresses[change](ip, owner);
    for (const port of portsOf(service.spec)) {
      const number = this.#portNumber(port);
      if (number !== undefined) this.#ports[change](number, owner);
    }
  }

  #portNumber(port: number): number | undefined {
    const { from, to } = this.#portRange;
    return port >= from && port <= to ? port - from : undefined;
  }

  // ---- for one write

  /** Holds an address somebody asked for; the words of the refusal when it cannot be had. */
  holdIp(ip: string, owner: string): string | undefined {
    const refusal = this.addresses.refusal(ip);
    if (refusal === undefined) this.addresses.hold(ip, owner);
    return refusal;
  }

  takeIp(family: string, owner: string): string {
    const ip = this.addresses.take(family, owner);
    if (ip === undefined) throw internalError('failed to allocate a serviceIP: range is full');
    return ip;
  }

  holdPort(port: number, owner: string): string | undefined {
    const number = this.#portNumber(port);
    if (number === undefined)
      return `provided port is not in the valid range. The range of valid ports is ${this.#portRange.from}-${this.#portRange.to}`;
    if (!this.#ports.isFree(number)) return 'provided port is already allocated';
    this.#ports.hold(number, owner);
    return undefined;
  }

  takePort(owner: string): number {
    const number = this.#ports.pick();
    if (number === undefined) throw internalError('failed to allocate a nodePort: range is full');
    this.#ports.hold(number, owner);
    return this.#portRange.from + number;
  }

  /** Gives back what a write held under its own name. */
  release(service: Service, owner: string): void {
    this.#track(service, owner, 'release');
  }
}

class PendingAllocation implements Allocation {
  readonly #allocator: ServiceAllocator;
  readonly #service: Service;
  readonly #old: Service | undefined;
  readonly #owner: string;
  /** Addresses chosen here, not by the client. */
  readonly #chosen = new Set<string>();
  #begun = false;

  constructor(allocator: ServiceAllocator, service: Service, old: Service | undefined, owner: string) {
    this.#allocator = allocator;
    this.#service = service;
    this.#old = old;
    this.#owner = owner;
    this.#refuse(settleFamilies(service, old, allocator.families()));
  }

  allocate(): void {
    const { spec } = this.#service;
    this.#takeBack(spec);
    this.#begun = true;
    this.#refuse([...this.#holdIps(spec), ...this.#holdPorts(spec)]);
    this.#takeIps(spec);
    this.#takePorts(spec);
  }

  record(alongside: Alongside): void {
    const { objects } = this.#allocator;
    const ips = ipsOf(this.#service.spec);
    for (const ip of ips) objects.addClaim(alongside, ip, this.#service);
    if (this.#old) for (const ip of ipsOf(this.#old.spec)) if (!ips.includes(ip)) objects.addRelease(alongside, ip, this.#old);
  }

  settle(): void {
    if (this.#begun) this.#allocator.release(this.#service, this.#owner);
  }

  /** Before another attempt: somebody may have had a chosen address first. */
  #takeBack(spec: V1ServiceSpec): void {
    if (!this.#begun) return;
    this.#allocator.release(this.#service, this.#owner);
    if (this.#chosen.size === 0) return;
    spec.clusterIPs = (spec.clusterIPs ?? []).filter((ip) => !this.#chosen.has(ip));
    if (spec.clusterIPs.length === 0) delete spec.clusterIP;
    this.#chosen.clear();
  }

  #refuse(errors: readonly FieldError[]): void {
    if (errors.length > 0) throw invalid(Service, this.#service.metadata.name, errors);
  }

  /** Asked-for numbers first, so that none of them is given out as free. */
  #holdIps(spec: V1ServiceSpec): FieldError[] {
    if (!wantsClusterIps(spec)) return [];
    const own = new Set(this.#old ? ipsOf(this.#old.spec) : []);
    const errors: FieldError[] = [];
    for (const ip of spec.clusterIPs ?? []) {
      if (own.has(ip)) continue;
      const why = this.#allocator.holdIp(ip, this.#owner);
      if (why !== undefined) errors.push(invalidValue('spec.clusterIPs', spec.clusterIPs, `failed to allocate IP ${ip}: ${why}`));
    }
    return errors;
  }

  #takeIps(spec: V1ServiceSpec): void {
    if (!wantsClusterIps(spec)) return;
    const ips = (spec.clusterIPs ??= []);
    for (const family of (spec.ipFamilies ?? []).slice(ips.length)) {
      const ip = this.#allocator.takeIp(family, this.#owner);
      this.#chosen.add(ip);
      ips.push(ip);
    }
    const [first] = ips;
    if (first !== undefined) spec.clusterIP = first;
  }

  #holdPorts(spec: V1ServiceSpec): FieldError[] {
    const own = new Set(this.#old ? portsOf(this.#old.spec) : []);
    const errors: FieldError[] = [];
    if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') {
      for (const [index, { nodePort = 0 }] of (spec.ports ?? []).entries()) {
        // The same port may serve two protocols of one service.
        if (nodePort === 0 || own.has(nodePort)) continue;
        own.add(nodePort);
        const why = this.#allocator.holdPort(nodePort, this.#owner);
        if (why !== undefined) errors.push(invalidValue(`spec.ports[${index}].nodePort`, nodePort, why));
      }
    }
    const health = spec.healthCheckNodePort ?? 0;
    if (wantsHealthCheckPort(spec) && health !== 0 && !own.has(health)) {
      const why = this.#allocator.holdPort(health, this.#owner);
      if (why !== undefined)
        errors.push(invalidValue('spec.healthCheckNodePort', health, `failed to allocate requested HealthCheck NodePort ${health}: ${why}`));
    }
    return errors;
  }

  #takePorts(spec: V1ServiceSpec): void {
    if (wantsNodePorts(spec)) {
      for (const port of spec.ports ?? []) {
        if (port.nodePort) continue;
        // A port for the other protocol of the same number is as good, as long as it is not the same protocol.
        const twin = spec.ports?.find(
          (other) => other !== port && other.nodePort && other.port === port.port && (other.protocol ?? 'TCP') !== (port.protocol ?? 'TCP'),
        );
        port.nodePort = twin?.nodePort ?? this.#allocator.takePort(this.#owner);
      }
    }
    if (wantsHealthCheckPort(spec) && !spec.healthCheckNodePort) spec.healthCheckNodePort = this.#allocator.takePort(this.#owner);
  }
}

/** Who holds an address by an IPAddress object alone. */
const objectOwner = 'an IPAddress';

export function ipsOf(spec: V1ServiceSpec): readonly string[] {
  return wantsClusterIps(spec) ? (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])) : [];
}

function portsOf(spec: V1ServiceSpec): number[] {
  const ports = (spec.ports ?? []).map((port) => port.nodePort ?? 0);
  return [...ports, spec.healthCheckNodePort ?? 0].filter((port) => port !== 0);
}
