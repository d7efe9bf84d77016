/** A fingerprint of the parts of a container whose change means a new instance: its name and image. Kept as an annotation on the instance. */
import type { V1Container } from '../api/types.ts';

export function containerHash({ name, image = '' }: V1Container): string {
  let hash = 0x811c9dc5;
  for (const character of `${name}\n${image}`) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash.toString(16);
}
