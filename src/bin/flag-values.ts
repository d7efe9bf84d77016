/** How the values of flags are read. What is wrong is said in commander's way, with the flag's name. */
import { InvalidArgumentError } from 'commander';

export function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new InvalidArgumentError('a port is a whole number from 1 to 65535.');
  return port;
}

export function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a count is a whole number from 1 up.');
  return number;
}

/** 0 for no port at all. */
export function portOrNone(text: string): number {
  return text === '0' ? 0 : portNumber(text);
}

export function amount(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('an amount is a whole number from 0 up.');
  return number;
}

/** Of any kind from 0 up. */
export function anyNumber(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number) || number < 0) throw new InvalidArgumentError('it is a number from 0 up.');
  return number;
}

export function level(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a level is a whole number from 0 up.');
  return Number(text);
}

/** As in Go's flags: `--flag` alone is true. */
export function truth(text: string): boolean {
  if (['true', '1', 't', 'T', 'TRUE', 'True'].includes(text)) return true;
  if (['false', '0', 'f', 'F', 'FALSE', 'False'].includes(text)) return false;
  throw new InvalidArgumentError('it is true or false.');
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `15s`, `1m30s` and the like. */
export function duration(text: string): number {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new InvalidArgumentError('a duration is a number with a unit, such as 15s.');
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) total += Number(amount) * (unitMs[unit] ?? 0);
  return total;
}

/** `a=1,b=2`. */
export function labels(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const word of text.split(',').filter((part) => part !== '')) {
    const [, key, value] = /^([^=]+)=([^=]*)$/.exec(word) ?? [];
    if (key === undefined || value === undefined) throw new InvalidArgumentError(`"${word}" is not key=value.`);
    found[key] = value;
  }
  return found;
}

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** `key=value:NoSchedule,other:NoExecute`. */
export function taints(text: string): { key: string; value?: string; effect: string }[] {
  return text
    .split(',')
    .filter((part) => part !== '')
    .map((word) => {
      const [, key, value, effect = ''] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(word) ?? [];
      if (key === undefined || !effects.includes(effect))
        throw new InvalidArgumentError(`"${word}" is not key=value:effect, effect being one of ${effects.join(', ')}.`);
      return { key, ...(value !== undefined && { value }), effect };
    });
}

export function words(text: string): string[] {
  return text.split(',').filter((word) => word !== '');
}

/** Of a flag that may be given more than once: all of its values. */
export function repeated(text: string, before: readonly string[]): string[] {
  return [...before, text];
}
