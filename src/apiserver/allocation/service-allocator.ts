/**
 * Gives services their cluster IPs and node ports. What is taken follows from the watch cache (so it is right after a crash, and whoever deletes a service frees
 * what it had) and from the writes under way in this process.
 */
import { Service } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1ServiceSpec } from '../../api/types.ts';
import { internalError, invalid } from '../../machinery/errors.ts';
import { type FieldError, invalidValue } from '../../machinery/field-error.ts';
import type { Random } from '../../world/world.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { Registry } from '../registry/registry.ts';
import { Pool, staticBand } from './pool.ts';
import { AddressRange } from './service-addresses.ts';
import {
  dropForeignFields,
  familyOf,
  keepAllocations,
  normalizeClusterIps,
  settleFamilies,
  wantsClusterIps,
  wantsHealthCheckPort,
  wantsNodePorts,
} from './service-families.ts';

export interface ServiceAllocatorOptions {
  readonly registry: Registry;
  readonly random: Random;
  /** One range, or one for each IP family with a comma between. */
  readonly serviceCidr: string;
  readonly nodePortRange: { readonly from: number; readonly to: number };
}

/** What one write of a service takes until it is settled. */
export interface Allocation {
  /** Fills in what the validated service lacks. Throws when something asked for is taken; what was taken until then goes back by `settle`. */
  allocate(): void;
  /** The write is over: the cache knows by now if it happened. */
  settle(): void;
}

export class ServiceAllocator {
  readonly #ranges: readonly AddressRange[];
  readonly #ports: Pool;
  readonly #portRange: { readonly from: number; readonly to: number };
  #writes = 0;

  constructor(options: ServiceAllocatorOptions) {
    this.#ranges = options.serviceCidr.split(',').map((cidr) => new AddressRange(cidr.trim(), options.random));
    this.#portRange = options.nodePortRange;
    const size = options.nodePortRange.to - options.nodePortRange.from + 1;
    this.#ports = new Pool(size, staticBand(size, 16, 32, 128), options.random);
    const { cache } = options.registry.servedKind(Service);
    for (const entry of cache.list()) this.#track(entry.object as Service, entry.path, 'hold');
    cache.onEvent(({ current, previous }) => {
      // Both in one turn: what the old and the new have alike is at no time free.
      if (previous) this.#track(previous.object as Service, previous.path, 'release');
      if (current) this.#track(current.object as Service, current.path, 'hold');
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
    return new PendingAllocation(this, service, before, `write/${++this.#writes}`);
  }

  families(): readonly AddressRange['family'][] {
    return this.#ranges.map((range) => range.family);
  }

  #track(service: Service, owner: string, change: 'hold' | 'release'): void {
    for (const ip of ipsOf(service.spec)) {
      for (const range of this.#ranges) {
        const number = range.numberOf(ip);
        if (number !== undefined) range[change](number, owner);
      }
    }
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
    const family = familyOf(ip);
    const range = this.#ranges.find((candidate) => candidate.family === family);
    const number = range?.numberOf(ip);
    if (!range || number === undefined)
      return `provided IP is not in the valid range. The range of valid IPs is ${(range ?? this.#ranges[0])?.toString() ?? ''}`;
    if (!range.isFree(number)) return 'provided IP is already allocated';
    range.hold(number, owner);
    return undefined;
  }

  takeIp(family: string, owner: string): string {
    const taken = this.#ranges.find((range) => range.family === family)?.take(owner);
    if (!taken) throw internalError('failed to allocate a serviceIP: range is full');
    return taken.ip;
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
    this.#begun = true;
    this.#refuse([...this.#holdIps(spec), ...this.#holdPorts(spec)]);
    this.#takeIps(spec);
    this.#takePorts(spec);
  }

  settle(): void {
    if (this.#begun) this.#allocator.release(this.#service, this.#owner);
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
    for (const family of (spec.ipFamilies ?? []).slice(ips.length)) ips.push(this.#allocator.takeIp(family, this.#owner));
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

function ipsOf(spec: V1ServiceSpec): readonly string[] {
  return wantsClusterIps(spec) ? (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])) : [];
}

function portsOf(spec: V1ServiceSpec): number[] {
  const ports = (spec.ports ?? []).map((port) => port.nodePort ?? 0);
  return [...ports, spec.healthCheckNodePort ?? 0].filter((port) => port !== 0);
}
