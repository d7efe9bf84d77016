/**
 * What of the Services holds in nftables, in a table for each family of addresses, and the transaction that leads to what should. The first one writes the
 * tables anew, which needs nothing to be as somebody left it; so does the next after one that was refused and forgotten.
 */
import { type Nftables, noTable } from '../nftables/nftables.ts';
import { baseRules, type Family } from './base-rules.ts';
import { noRules, ruleChanges, Shares } from './rule-changes.ts';
import { podCidrOf, type ServiceRules } from './service-rules.ts';

export const families = ['ip', 'ip6'] as const;

export interface ServiceTablesOptions {
  readonly table: string;
  readonly clusterCidr: string;
  readonly nodePortAddresses?: readonly string[];
  readonly nftables: Pick<Nftables, 'apply'>;
}

/** What one Service had and is to have; `key` is its namespace and name. */
export interface ServiceChange {
  readonly key: string;
  readonly from: ServiceRules;
  readonly to: ServiceRules;
}

export type Changes = Readonly<Record<Family, readonly ServiceChange[]>>;

interface Table {
  readonly applied: Map<string, ServiceRules>;
  shares: Shares;
  /** There is none, or one that somebody else left. */
  fresh: boolean;
}

export class ServiceTables {
  readonly #options: ServiceTablesOptions;
  #tables: Readonly<Record<Family, Table>> = newTables();

  constructor(options: ServiceTablesOptions) {
    this.#options = options;
  }

  /** There are no tables of ours yet, or no more. */
  get isFresh(): boolean {
    return this.#tables.ip.fresh;
  }

  /** The rules that hold. */
  applied(family: Family): Iterable<ServiceRules> {
    return this.#tables[family].applied.values();
  }

  /** Each Service of `keys` from what it has to what `wanted` says; those that have nothing and need nothing are left out. */
  changesTo(keys: readonly string[], wanted: (family: Family, key: string) => ServiceRules): Changes {
    const of = (family: Family): ServiceChange[] =>
      keys.flatMap((key) => {
        const [from, to] = [this.#tables[family].applied.get(key) ?? noRules, wanted(family, key)];
        return from === noRules && isEmpty(to) ? [] : [{ key, from, to: isEmpty(to) ? noRules : to }];
      });
    return { ip: of('ip'), ip6: of('ip6') };
  }

  /**
   * One transaction; refused, too, when `look` is asked for and somebody took the tables away. Answers the families whose tables were made by it. Rejects
   * with {@link NftError}.
   */
  async apply(changes: Changes, look: boolean): Promise<ReadonlySet<Family>> {
    const made = new Set(families.filter((family) => this.#tables[family].fresh && this.#isNeeded(family, changes)));
    const shares = { ip: new Shares(this.#tables.ip.shares), ip6: new Shares(this.#tables.ip6.shares) };
    const script = (look ? this.#look() : '') + families.map((family) => this.#script(family, changes, shares[family])).join('');
    if (script !== '') await this.#options.nftables.apply(script);
    for (const family of families) {
      const table = this.#tables[family];
      if (made.has(family)) table.fresh = false;
      table.shares = shares[family];
      for (const { key, to } of changes[family]) {
        if (to === noRules) table.applied.delete(key);
        else table.applied.set(key, to);
      }
    }
    return made;
  }

  /** After a refusal: nothing holds any more. Answers the Services that had rules. */
  forget(): ReadonlySet<string> {
    const keys = new Set(families.flatMap((family) => [...this.#tables[family].applied.keys()]));
    this.#tables = newTables();
    return keys;
  }

  /** The table of IPv6 is not there before a Service has an address in it: a packet pays for each table. */
  #isNeeded(family: Family, changes: Changes): boolean {
    return family === 'ip' || changes.ip6.some(({ to }) => to !== noRules);
  }

  /** Changes nothing where the tables are there, and is refused where they are not. */
  #look(): string {
    const known = families.filter((family) => !this.#tables[family].fresh);
    return known.map((family) => `add chain ${family} ${this.#options.table} services\n`).join('');
  }

  #script(family: Family, changes: Changes, shares: Shares): string {
    const { table, clusterCidr, nodePortAddresses } = this.#options;
    const place = { family, table, podCidr: podCidrOf(clusterCidr, family) };
    if (!this.#tables[family].fresh) return ruleChanges(place, changes[family], shares);
    // What an earlier run left goes with the first transaction.
    if (!this.#isNeeded(family, changes)) return this.isFresh ? noTable(family, table) : '';
    return baseRules(family, table, nodePortAddresses) + ruleChanges(place, changes[family], shares);
  }
}

function newTables(): Record<Family, Table> {
  const fresh = (): Table => ({ applied: new Map(), shares: new Shares(), fresh: true });
  return { ip: fresh(), ip6: fresh() };
}

function isEmpty({ chains, elements, clusterIps }: ServiceRules): boolean {
  return chains.size === 0 && clusterIps.length === 0 && Object.keys(elements).length === 0;
}
