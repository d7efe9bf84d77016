/**
 * Partitions of one device share its counters: a device can be had only while its pool's counter sets have enough left for it. Upstream's partitionable
 * devices (KEP 4815).
 */
import type { ResourceSlice } from '../../../api/kinds.ts';
import type { V1Device } from '../../../api/types.ts';
import { parseQuantity, type Quantity } from '../../../machinery/quantity.ts';
import { completePools, deviceId, type OfferedDevice } from './devices.ts';

export class SharedCounters {
  /** By pool, counter set and counter: what is left. Only for pools somebody asked about. */
  readonly #left = new Map<string, Map<string, Quantity>>();
  readonly #slices: readonly ResourceSlice[];
  readonly #isTaken: (id: string) => boolean;

  /** `isTaken` answers for devices by their id. */
  constructor(slices: readonly ResourceSlice[], isTaken: (id: string) => boolean) {
    this.#slices = slices;
    this.#isTaken = isTaken;
  }

  /** Answers whether there was enough of everything; takes nothing when there was not. */
  take({ driver, pool, device }: OfferedDevice): boolean {
    if (!device.consumesCounters?.length) return true;
    const left = this.#leftIn(driver, pool);
    const rest = needs(device).map(([counter, amount]) => [counter, left.get(counter)?.sub(amount)] as const);
    if (rest.some(([, amount]) => amount === undefined || amount.sign() < 0)) return false;
    for (const [counter, amount] of rest) if (amount) left.set(counter, amount);
    return true;
  }

  giveBack({ driver, pool, device }: OfferedDevice): void {
    if (!device.consumesCounters?.length) return;
    const left = this.#leftIn(driver, pool);
    for (const [counter, amount] of needs(device)) left.set(counter, left.get(counter)?.add(amount) ?? amount);
  }

  #leftIn(driver: string, pool: string): Map<string, Quantity> {
    const key = `${driver}/${pool}`;
    let left = this.#left.get(key);
    if (left !== undefined) return left;
    left = new Map();
    const slices = completePools(this.#slices).filter(({ spec }) => spec.driver === driver && spec.pool.name === pool);
    for (const { spec } of slices) {
      for (const { name, counters } of spec.sharedCounters ?? []) {
        for (const [counter, { value }] of Object.entries(counters)) left.set(`${name}/${counter}`, parseQuantity(value));
      }
    }
    for (const { spec } of slices) {
      for (const device of spec.devices ?? []) {
        if (!this.#isTaken(deviceId(driver, pool, device.name))) continue;
        for (const [counter, amount] of needs(device)) {
          const before = left.get(counter);
          if (before) left.set(counter, before.sub(amount));
        }
      }
    }
    this.#left.set(key, left);
    return left;
  }
}

function needs({ consumesCounters = [] }: V1Device): (readonly [counter: string, amount: Quantity])[] {
  return consumesCounters.flatMap(({ counterSet, counters }) =>
    Object.entries(counters).map(([counter, { value }]) => [`${counterSet}/${counter}`, parseQuantity(value)] as const),
  );
}
