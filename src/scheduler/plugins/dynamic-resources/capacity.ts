/**
 * Devices that several may share (`allowMultipleAllocations`): how much of a capacity a request takes, by the device's policy, and whether there is so much left.
 * Upstream's consumable capacity (KEP 5075).
 */
import { parseQuantity, Quantity } from '../../../machinery/quantity.ts';
import type { V1Device, V1DeviceCapacity } from '../../../api/types.ts';

/** By name of the capacity. */
export type Consumption = ReadonlyMap<string, Quantity>;

export const nothingConsumed: Consumption = new Map();

export function consumptionOf(amounts: Readonly<Record<string, string>> | undefined): Map<string, Quantity> {
  return new Map(Object.entries(amounts ?? {}).map(([name, text]) => [name, parseQuantity(text)]));
}

export function addConsumption(a: Consumption, b: Consumption): Map<string, Quantity> {
  const sum = new Map(a);
  for (const [name, amount] of b) sum.set(name, sum.get(name)?.add(amount) ?? amount);
  return sum;
}

/** What a request takes of a device with what others took of it already; undefined when that is too much, or asks for what the device does not have. */
export function consumed(device: V1Device, requests: Readonly<Record<string, string>> | undefined, already: Consumption): Consumption | undefined {
  const { capacity = {} } = device;
  if (Object.keys(requests ?? {}).some((name) => capacity[name] === undefined)) return undefined;
  const taken = new Map<string, Quantity>();
  for (const [name, one] of Object.entries(capacity)) {
    const amount = amountOf(one, requests?.[name]);
    if (amount === undefined) return undefined;
    const used = already.get(name);
    if ((used === undefined ? amount : used.add(amount)).compare(parseQuantity(one.value)) > 0) return undefined;
    taken.set(name, amount);
  }
  return taken;
}

/** Brought up to what the policy allows; undefined when it allows nothing so large. Without a request: the policy's default, or all of it. */
function amountOf({ value, requestPolicy: policy }: V1DeviceCapacity, request: string | undefined): Quantity | undefined {
  if (request === undefined) return parseQuantity(policy?.default ?? value);
  const wanted = parseQuantity(request);
  if (policy?.validRange) {
    const { min, max, step } = policy.validRange;
    const amount = inSteps(wanted, parseQuantity(min), step);
    return max !== undefined && amount.compare(parseQuantity(max)) > 0 ? undefined : amount;
  }
  if (policy?.validValues?.length) return policy.validValues.map((text) => parseQuantity(text)).find((valid) => wanted.compare(valid) <= 0);
  return wanted;
}

function inSteps(wanted: Quantity, min: Quantity, step: string | undefined): Quantity {
  if (wanted.compare(min) <= 0) return min;
  if (step === undefined) return wanted;
  const [from, by] = [min.value(), parseQuantity(step).value()];
  return Quantity.of(from + Math.ceil((wanted.value() - from) / by) * by, 'BinarySI');
}
