/** Fields that hold a count or a share, such as a rolling update's `maxSurge`: `3` or `25%`. Follows upstream's `intstr.GetScaledValueFromIntOrPercent`. */

/** Throws when the text is neither an integer nor a percentage. */
export function resolveIntOrPercent(value: number | string, total: number, roundUp: boolean): number {
  if (typeof value === 'number') return value;
  const percent = percentOf(value);
  if (percent === undefined) throw new Error(`invalid value for IntOrString: invalid type: string is not a percentage`);
  const share = (percent * total) / 100;
  return roundUp ? Math.ceil(share) : Math.floor(share);
}

/** The number before the `%`, or undefined when the text is no percentage. */
export function percentOf(value: number | string): number | undefined {
  if (typeof value === 'number') return undefined;
  return /^[0-9]+%$/.test(value) ? Number(value.slice(0, -1)) : undefined;
}
