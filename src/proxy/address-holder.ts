/**
 * Makes load balancers' addresses answer on this node's links. They stand on a device of their own; for an IPv4 address the kernel answers on whichever link
 * it is asked, an IPv6 address stands on each link too. Neighbours that remember another node are told when an address comes (`neighbour-news.ts`); where
 * they cannot be told they find out when their entry ends.
 */
import type { Log } from '../world/world.ts';
import { type Link, type Run, runHere, tellNeighbours } from './neighbour-news.ts';

export class AddressHolder {
  readonly #device: string;
  readonly #log: Log;
  readonly #run: Run;
  #held = new Set<string>();
  #made = false;
  #telling: Promise<void> = Promise.resolve();

  /** `device` is made when there is something to hold. */
  constructor(device: string, log: Log, run: Run = runHere) {
    this.#device = device;
    this.#log = log;
    this.#run = run;
  }

  async hold(wanted: ReadonlySet<string>): Promise<void> {
    const gone = [...this.#held].filter((address) => !wanted.has(address));
    const added = [...wanted].filter((address) => !this.#held.has(address));
    if (gone.length === 0 && added.length === 0) return;
    try {
      await this.#make();
      const links = await outwardLinks(this.#device, this.#run);
      for (const address of gone) await this.#drop(address, links);
      for (const address of added) await this.#take(address, links);
      this.#held = new Set(wanted);
      this.#tellLater(added, links);
    } catch (error) {
      this.#log.error("load balancers' addresses could not be taken", { device: this.#device, error: String(error) });
      this.#made = false;
      this.#held = new Set();
    }
  }

  /** When neighbours have been told; the addresses stay. */
  close(): Promise<void> {
    return this.#telling;
  }

  async #make(): Promise<void> {
    if (this.#made) return;
    // What an earlier run left is not known to be wanted.
    await removeDevice(this.#device, this.#run);
    await this.#run('ip', ['link', 'add', this.#device, 'type', 'bridge']);
    await this.#run('ip', ['link', 'set', this.#device, 'up']);
    this.#made = true;
  }

  async #take(address: string, links: readonly Outward[]): Promise<void> {
    await this.#run('ip', ['address', 'replace', withLength(address), 'dev', this.#device]);
    if (isIPv4(address)) return;
    // No lifetime: it answers, and nothing that the node begins comes from it.
    const how = ['nodad', 'preferred_lft', '0'];
    for (const { name } of links) await this.#run('ip', ['address', 'replace', withLength(address), 'dev', name, ...how]);
  }

  async #drop(address: string, links: readonly Outward[]): Promise<void> {
    await this.#run('ip', ['address', 'delete', withLength(address), 'dev', this.#device]);
    if (!isIPv4(address)) await dropFrom(links, address, this.#run);
  }

  /** Rules need not wait for it. */
  #tellLater(addresses: readonly string[], links: readonly Outward[]): void {
    const told = Promise.all(
      links.map((link) =>
        tellNeighbours(link, addresses, this.#run).catch((error: unknown) =>
          this.#log.debug('neighbours could not be told of addresses', { addresses, link: link.name, error: String(error) }),
        ),
      ),
    );
    this.#telling = Promise.all([this.#telling, told]).then(() => undefined);
  }
}

/** Takes the device away, and what stands on other links because of it; one that is not there is no error. */
export async function removeDevice(device: string, run: Run = runHere): Promise<void> {
  const held = await addressesOf(['dev', device], run).catch(() => []);
  const addresses = held.flatMap(({ addr_info = [] }) => addr_info).filter(({ family, scope }) => family === 'inet6' && scope === 'global');
  if (addresses.length > 0) {
    const links = await outwardLinks(device, run);
    for (const { local = '' } of addresses) await dropFrom(links, local, run);
  }
  await run('ip', ['link', 'delete', device]).catch(() => undefined);
}

async function dropFrom(links: readonly Outward[], address: string, run: Run): Promise<void> {
  for (const { name } of links) await run('ip', ['address', 'delete', withLength(address), 'dev', name]).catch(() => undefined);
}

interface Outward extends Link {
  readonly name: string;
}

/** As `ip` shows it. */
interface Device {
  readonly ifindex: number;
  readonly address: string;
  readonly ifname?: string;
  readonly link_type?: string;
  readonly flags?: readonly string[];
  readonly addr_info?: readonly { readonly family?: string; readonly local?: string; readonly scope?: string }[];
}

/** Devices with addresses on which neighbours ask who has one: not those that lead to this cluster's pods, whose names begin alike. */
async function outwardLinks(device: string, run: Run): Promise<Outward[]> {
  const ours = device.replace(/lb$/, '');
  const links = await addressesOf(['up'], run);
  return links
    .filter(({ ifname = '', link_type: type, flags = [], addr_info: addresses = [] }) => {
      return type === 'ether' && !flags.includes('NOARP') && addresses.length > 0 && !ifname.startsWith(ours);
    })
    .map(({ ifname: name = '', ifindex: index, address: mac }) => ({ name, index, mac }));
}

async function addressesOf(which: readonly string[], run: Run): Promise<Device[]> {
  return JSON.parse((await run('ip', ['-json', 'address', 'show', ...which])).stdout) as Device[];
}

function isIPv4(address: string): boolean {
  return !address.includes(':');
}

function withLength(address: string): string {
  return `${address}/${isIPv4(address) ? 32 : 128}`;
}
