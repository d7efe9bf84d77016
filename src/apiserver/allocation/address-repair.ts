/**
 * Keeps Services and IPAddress objects in agreement where the commits that write both cannot: data from before there were IPAddresses, and objects that
 * people delete or make. Upstream's `RepairIPAddress`, driven by events instead of a schedule.
 */
import { type IPAddress, Service } from '../../api/kinds.ts';
import { Conflict } from '../../store/store.ts';
import type { Timer } from '../../world/world.ts';
import { Alongside } from '../admission/admission.ts';
import type { AnyObject } from '../registry/decoding.ts';
import { commitDelete, commitObject } from '../verbs/commit.ts';
import { planDelete } from '../verbs/delete-plan.ts';
import type { Storage } from '../verbs/storage.ts';
import { canonicalIp, isManaged, serviceOf } from './address-objects.ts';
import { ipsOf } from './service-allocator.ts';

/** How long an object nobody uses is left alone: whoever made it may be about to use it. */
const graceMs = 60_000;

/** What is to be done about one address. */
export type AddressPlan = 'nothing' | 'create' | 'delete' | 'wait';

/** `holders` are the paths of the Services that have the address. */
export function planAddress(address: IPAddress | undefined, holders: readonly string[], nowMs: number): AddressPlan {
  if (address === undefined) return holders.length > 0 ? 'create' : 'nothing';
  if (!isManaged(address) || address.metadata.deletionTimestamp !== undefined) return 'nothing';
  const user = serviceOf(address);
  if (user !== undefined && holders.includes(user)) return 'nothing';
  return nowMs - Date.parse(address.metadata.creationTimestamp) < graceMs ? 'wait' : 'delete';
}

export class AddressRepair {
  readonly #storage: Storage;
  readonly #due = new Set<string>();
  readonly #waiting = new Set<string>();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Looks at everything once, and from then on at what changes. */
  start(): void {
    const { registry, services } = this.#storage;
    const { cache } = registry.servedKind(Service);
    const addresses = services.objects.served.cache;
    for (const entry of cache.list()) this.#look(ipsOf((entry.object as Service).spec));
    this.#look(addresses.list().map(({ name }) => name));
    cache.onEvent(({ current, previous }) => {
      if (current) this.#look(ipsOf((current.object as Service).spec));
      if (previous) this.#look(ipsOf((previous.object as Service).spec));
    });
    addresses.onEvent(({ current, previous }) => this.#look([(current ?? previous)?.name ?? '']));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  /** Events arrive one by one while a commit is handed out: what does not fit yet may be right in a moment, so it is judged after that. */
  #look(ips: readonly string[]): void {
    if (this.#closed || ips.length === 0) return;
    for (const ip of ips) this.#due.add(ip);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    for (const text of this.#due) {
      this.#due.delete(text);
      const ip = canonicalIp(text);
      if (this.#closed || ip === undefined) continue;
      try {
        await this.#repair(ip);
      } catch (error) {
        this.#storage.world.log.warn('an IPAddress could not be repaired', { ip, error: String(error) });
        this.#waitFor(ip);
      }
    }
    this.#running = undefined;
  }

  #holdersOf(ip: string): Service[] {
    const { registry, services } = this.#storage;
    const { cache } = registry.servedKind(Service);
    return [...services.addresses.holdersOf(ip)].flatMap((owner) => {
      const service = cache.get(owner)?.object as Service | undefined;
      return service ? [service] : [];
    });
  }

  async #repair(ip: string): Promise<void> {
    const { world, registry, services } = this.#storage;
    const { served } = services.objects;
    const entry = services.objects.entry(ip);
    const holders = this.#holdersOf(ip);
    const [holder] = holders;
    const paths = holders.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    const plan = planAddress(entry?.object as IPAddress | undefined, paths, world.clock.now());
    if (plan === 'wait') this.#waitFor(ip);
    else if (plan === 'create' && holder) {
      const alongside = new Alongside();
      services.objects.addClaim(alongside, ip, holder);
      // Somebody else's object of that name is an event of its own.
      await registry.store.commit(alongside.operations, alongside.guards).catch((error: unknown) => {
        if (!(error instanceof Conflict)) throw error;
      });
    } else if (plan === 'delete' && entry) {
      const deletion = planDelete(
        served.stored,
        entry.object as AnyObject,
        { gracePeriodSeconds: undefined, propagationPolicy: undefined },
        world.clock.now(),
      );
      if (deletion.action === 'remove') await commitDelete(this.#storage, served, entry);
      else if (deletion.action === 'mark') await commitObject(this.#storage, served, entry.path, deletion.object, entry);
    }
  }

  #waitFor(ip: string): void {
    if (this.#closed) return;
    this.#waiting.add(ip);
    this.#timer ??= this.#storage.world.clock.after(graceMs, () => {
      this.#timer = undefined;
      const ips = [...this.#waiting];
      this.#waiting.clear();
      this.#look(ips);
    });
  }
}
