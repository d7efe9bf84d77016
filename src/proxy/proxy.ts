/**
 * The service proxy: watches Services and endpoint slices and keeps this node's nftables as they say. A change is applied at once; what arrives
 * while nft runs goes into the next transaction together.
 */
import { EndpointSlice, Node, Service } from '../api/node-kinds.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import { Nftables, removeTable } from '../nftables/nftables.ts';
import { AddressHolder, removeDevice } from './address-holder.ts';
import { announcedBy } from './announcer.ts';
import { readyHere } from './backends.ts';
import type { Family } from './base-rules.ts';
import { forgetUdpFlows, listUdpFlows, type StaleFlows, type UdpFlow } from './conntrack.ts';
import { HealthCheckPorts } from './health-check-ports.ts';
import { ProxyMetrics } from './proxy-metrics.ts';
import { noRules } from './rule-changes.ts';
import { ServiceClaims } from './service-claims.ts';
import { type Place, type ServiceRules, serviceRules } from './service-rules.ts';
import { type Changes, families, ServiceTables } from './service-tables.ts';
import { staleAtStart, staleFlows } from './stale-flows.ts';

export interface ProxyOptions extends Omit<Place, 'zone'> {
  readonly world: World;
  readonly informers: Informers;
  /** The nftables table this proxy owns, in the `ip` family and, once a Service has an address there, in `ip6`. */
  readonly table: string;
  /** CIDRs of the node's addresses that node ports answer on; all when absent or empty. */
  readonly nodePortAddresses?: readonly string[];
  /** The device that holds load balancers' addresses; they are not announced when absent. */
  readonly announceOn?: string;
  /** How scripts reach the kernel; closed with the proxy. */
  readonly nftables?: Pick<Nftables, 'apply' | 'close'>;
  /** How stale flows are forgotten; conntrack, unless a test listens. */
  readonly forget?: (flows: StaleFlows) => Promise<void>;
  readonly list?: (family: Family) => Promise<readonly UdpFlow[]>;
}

export interface Proxy {
  /** Resolves when the rules of all Services known at the start hold. */
  readonly ready: Promise<void>;
  readonly metrics: ProxyMetrics;
  /** False while what should hold could not be applied. */
  isHealthy(): boolean;
  /** Stops following changes; the rules stay, so that connections survive a restart. */
  close(): Promise<void>;
}

const retryMs = 1_000;
/** How often the tables are looked for: whoever flushes the ruleset (a firewall that starts) takes them along. */
const lookEveryMs = 30_000;
const zoneLabel = 'topology.kubernetes.io/zone';

export function startProxy(options: ProxyOptions): Proxy {
  const { world, informers, nodeName, clusterCidr, nftables = new Nftables(), forget = forgetUdpFlows, list = listUdpFlows } = options;
  const log = world.log.child('proxy');
  const services = informers.of(Service);
  const slices = informers.of(EndpointSlice);
  const nodes = informers.of(Node);
  const healthCheckPorts = new HealthCheckPorts(log, () => healthy);
  const holder = options.announceOn === undefined ? undefined : new AddressHolder(options.announceOn, log);
  const metrics = new ProxyMetrics();
  slices.addIndex('service', (slice) => [serviceOf(slice)]);
  const tables = new ServiceTables({ ...options, nftables });
  const claims = new ServiceClaims();
  const dirty = new Map<string, number>();
  const closing = new AbortController();
  let zone: string | undefined;
  let started = false;
  let healthy = true;
  let nodesChanged = true;
  let looking = false;
  let running: Promise<void> | undefined;
  /** Flows are forgotten one after the other, while rules go on. */
  let forgetting: Promise<void> = Promise.resolve();

  const touchSlice = (slice: EndpointSlice): void => {
    metrics.endpointChanges++;
    touch(serviceOf(slice));
  };
  const touchService = (service: Service): void => {
    metrics.serviceChanges++;
    touch(`${service.metadata.namespace}/${service.metadata.name}`);
  };
  const lookAtNode = (node: Node): void => {
    if (holder) {
      nodesChanged = true;
      if (started) void go();
    }
    if (node.metadata.name !== nodeName || node.metadata.labels?.[zoneLabel] === zone) return;
    zone = node.metadata.labels?.[zoneLabel];
    for (const { metadata } of services.list()) touch(`${metadata.namespace}/${metadata.name}`);
  };
  const unsubscribe = [
    services.subscribe({ added: touchService, updated: touchService, deleted: touchService }),
    slices.subscribe({ added: touchSlice, updated: touchSlice, deleted: touchSlice }),
    nodes.subscribe({ added: lookAtNode, updated: lookAtNode, deleted: lookAtNode }),
  ];
  const ready = Promise.all([services.synced, slices.synced, nodes.synced]).then(() => {
    started = true;
    return go();
  });

  function touch(key: string): void {
    if (!dirty.has(key)) dirty.set(key, world.clock.now());
    metrics.lastQueuedMs = world.clock.now();
    if (started) void go();
  }

  const look = world.clock.every(lookEveryMs, () => {
    looking = true;
    if (started) void go();
  });

  function go(): Promise<void> {
    running ??= drain();
    return running;
  }

  async function drain(): Promise<void> {
    // What is heard in one moment goes together.
    await Promise.resolve();
    try {
      while ((dirty.size > 0 || nodesChanged || looking || tables.isFresh) && !closing.signal.aborted) await round();
    } finally {
      // At once, lest something is heard between the last look and the end.
      running = undefined;
    }
  }

  async function round(): Promise<void> {
    const began = world.clock.now();
    for (const key of dirty.keys()) for (const other of claims.set(key, serviceAt(key))) if (!dirty.has(other)) dirty.set(other, began);
    const queued = [...dirty];
    dirty.clear();
    nodesChanged = false;
    const keys = queued.map(([key]) => key);
    const done = await carryOut(tables.changesTo(keys, wanted));
    if (!done) {
      for (const [key] of queued) dirty.set(key, world.clock.now());
      await world.clock.sleep(retryMs, closing.signal).catch(() => undefined);
      return;
    }
    const now = world.clock.now();
    metrics.syncs.observe((now - began) / 1000);
    for (const [, since] of queued) metrics.programming.observe((now - since) / 1000);
    metrics.lastSyncMs = now;
    for (const [key] of queued) checkHealth(key);
    await holder?.hold(announcedBy(nodeName, services.list(), nodes.list(), slicesOf));
  }

  /** False when nft refused; then nothing is applied any more, and everything is to be written anew. */
  async function carryOut(changes: Changes): Promise<boolean> {
    const look = looking;
    looking = false;
    try {
      forgetFlows(changes, await tables.apply(changes, look));
      healthy = true;
      return true;
    } catch (error) {
      if (closing.signal.aborted) return false;
      // Someone changed our table, or nft is missing.
      log.error('nftables refused the rules; writing them all anew', { error: String(error) });
      healthy = false;
      metrics.failures++;
      for (const key of tables.forget()) dirty.set(key, world.clock.now());
      return false;
    }
  }

  /** Of a table that was just made nobody knows what was before. */
  function forgetFlows(changes: Changes, made: ReadonlySet<Family>): void {
    for (const family of families) {
      if (!made.has(family)) for (const { from, to } of changes[family]) forgetLater(staleFlows(family, from, to));
      else if ([...tables.applied(family)].some(({ udp }) => udp.size > 0)) {
        forgetting = forgetting.then(async () => forgetLater(staleAtStart(family, await list(family), tables.applied(family))));
      }
    }
  }

  function forgetLater(stale: readonly StaleFlows[]): void {
    for (const flows of stale) forgetting = forgetting.then(() => (closing.signal.aborted ? undefined : forget(flows)));
  }

  function wanted(family: Family, key: string): ServiceRules {
    const service = serviceAt(key);
    if (!service) return noRules;
    const place = { nodeName, clusterCidr, ...(zone !== undefined && { zone }) };
    return serviceRules(service, slices.byIndex('service', key), place, family, (claim) => claims.isOwner(key, claim));
  }

  function serviceAt(key: string): Service | undefined {
    const slash = key.indexOf('/');
    const service = services.get(key.slice(slash + 1), key.slice(0, slash));
    return service && isForOthers(service) ? undefined : service;
  }

  function slicesOf({ metadata }: Service): readonly EndpointSlice[] {
    return slices.byIndex('service', `${metadata.namespace}/${metadata.name}`);
  }

  function checkHealth(key: string): void {
    healthCheckPorts.set(key, serviceAt(key), readyHere(slices.byIndex('service', key), nodeName));
  }

  return {
    ready,
    metrics,
    isHealthy: () => healthy,
    async close() {
      closing.abort();
      look.cancel();
      for (const stop of unsubscribe) stop();
      await running;
      await forgetting;
      healthCheckPorts.close();
      await holder?.close();
      await nftables.close();
    },
  };
}

/** Another proxy looks after it, or none: as upstream, whatever cluster IP it has. */
function isForOthers({ metadata: { labels = {} } }: Service): boolean {
  return Object.hasOwn(labels, 'service.kubernetes.io/service-proxy-name') || Object.hasOwn(labels, 'service.kubernetes.io/headless');
}

function serviceOf({ metadata }: EndpointSlice): string {
  return `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name'] ?? ''}`;
}

/** Takes the tables off the host, and the device of {@link ProxyOptions.announceOn}; what is not there is no error. */
export async function removeProxyRules(table: string, announcedOn?: string): Promise<void> {
  for (const family of families) await removeTable(family, table);
  if (announcedOn !== undefined) await removeDevice(announcedOn);
}
