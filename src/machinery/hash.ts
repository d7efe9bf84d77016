/**
 * Short, stable names for content: ReplicaSets and ControllerRevisions are named by the hash of their template. The alphabet leaves out vowels and
 * look-alikes, as upstream's `rand.SafeEncodeString` does, so that no hash spells a word.
 */

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** `pod-template-hash` of a pod template. Equal templates have equal hashes, whatever the order of their keys; `collisionCount` picks another hash. */
export function podTemplateHash(template: object, collisionCount?: number): string {
  let hash = contentHash(template);
  if (collisionCount !== undefined) hash = mixText(hash, `#${collisionCount}`);
  return encode(hash);
}

/** A 32-bit hash (FNV-1a) of a JSON value that does not depend on the order of keys. */
export function contentHash(value: unknown): number {
  return mixValue(0x811c9dc5, value);
}

function mixValue(hash: number, value: unknown): number {
  if (typeof value !== 'object' || value === null) return mixText(hash, JSON.stringify(value) ?? 'null');
  if (Array.isArray(value)) {
    let result = mixText(hash, '[');
    for (const item of value) result = mixValue(mixText(result, ','), item);
    return mixText(result, ']');
  }
  let result = mixText(hash, '{');
  const record = value as Record<string, unknown>;
  for (const key of Object.keys(record).sort()) {
    if (record[key] === undefined) continue;
    result = mixValue(mixText(result, JSON.stringify(key)), record[key]);
  }
  return mixText(result, '}');
}

function mixText(hash: number, text: string): number {
  let result = hash;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    result = Math.imul(result ^ (unit & 0xff), 0x01000193);
    if (unit > 0xff) result = Math.imul(result ^ (unit >>> 8), 0x01000193);
  }
  return result >>> 0;
}

/** Each decimal digit of the hash becomes a safe letter, as upstream does: one to ten letters. */
function encode(hash: number): string {
  let text = '';
  for (const character of String(hash)) text += alphabet.charAt(character.charCodeAt(0) % alphabet.length);
  return text;
}
