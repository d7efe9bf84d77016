/** CEL selectors of device classes and requests: `device.driver == "gpu.example.com" && device.attributes["gpu.example.com"].model == "x"`. */
import type { V1Device, V1DeviceAttribute, V1DeviceSelector } from '../../../api/types.ts';
import { CelError, compileCel } from '../../../machinery/cel.ts';
import type { OfferedDevice } from './devices.ts';

/** Throws for an expression that is none, or cannot be evaluated for the device: its author has to know. */
export function selectsDevice(selectors: readonly V1DeviceSelector[] | undefined, offered: OfferedDevice): boolean {
  return (selectors ?? []).every(({ cel }) => {
    const expression = cel?.expression ?? 'true';
    try {
      return compileCel(expression, ['device'])({ device: valueOf(offered, expression) }) === true;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      throw new Error(`CEL selector ${JSON.stringify(expression)} on device ${offered.id}: ${error.message}`, { cause: error });
    }
  });
}

/** Quantities and versions in expressions are values of CEL's own: it makes them itself. */
function celValue(maker: 'quantity' | 'semver', text: string): unknown {
  return compileCel(`${maker}(text)`, ['text'])({ text });
}

const domainsAsked = /(attributes|capacity)\s*\[\s*["']([^"']+)["']\s*\]/g;

function valueOf({ driver, device }: OfferedDevice, expression: string): object {
  const attributes = byDomain(driver, device.attributes, attributeValue);
  const capacity = byDomain(driver, device.capacity, ({ value }) => celValue('quantity', value));
  // A domain the device knows nothing about is empty, not an error: only a name in it is.
  for (const [, what, domain = ''] of expression.matchAll(domainsAsked)) (what === 'capacity' ? capacity : attributes)[domain] ??= {};
  return { driver, attributes, capacity, allowMultipleAllocations: device.allowMultipleAllocations ?? false };
}

/** Names without a domain are in the driver's. */
function byDomain<T>(
  driver: string,
  named: Readonly<Record<string, T>> | undefined,
  read: (value: T) => unknown,
): Record<string, Record<string, unknown>> {
  const domains: Record<string, Record<string, unknown>> = {};
  for (const [qualified, value] of Object.entries(named ?? {})) {
    const slash = qualified.indexOf('/');
    const [domain, name] = slash < 0 ? [driver, qualified] : [qualified.slice(0, slash), qualified.slice(slash + 1)];
    (domains[domain] ??= {})[name] = read(value);
  }
  return domains;
}

function attributeValue({ bool, int, string, version, bools, ints, strings, versions }: V1DeviceAttribute): unknown {
  if (int !== undefined) return BigInt(int);
  if (ints !== undefined) return ints.map(BigInt);
  if (version !== undefined) return celValue('semver', version);
  return bool ?? string ?? bools ?? strings ?? versions?.map((one) => celValue('semver', one));
}

/** An attribute in a form that can be compared; undefined when the device has none of the name. */
export function comparableAttribute(
  { driver, device }: { readonly driver: string; readonly device: V1Device },
  qualified: string,
): string | undefined {
  const attribute =
    device.attributes?.[qualified] ?? (qualified.startsWith(`${driver}/`) ? device.attributes?.[qualified.slice(driver.length + 1)] : undefined);
  return attribute && JSON.stringify(attribute);
}
