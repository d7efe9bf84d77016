/** Looking things up by names that clients choose: `constructor` and `__proto__` are names like any other, and no object's own unless somebody put them there. */
export function own<V>(map: Readonly<Record<string, V>> | undefined, name: string): V | undefined {
  return map !== undefined && Object.hasOwn(map, name) ? map[name] : undefined;
}
