/** JSON Patch (RFC 6902), with the messages of the library upstream uses where clients see them. */
import { clone } from './clone.ts';
import { equal } from './equal.ts';
import { PatchError } from './patch-error.ts';

type Container = Record<string, unknown> | unknown[];

interface Operation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test';
  readonly path: string;
  readonly from: string;
  readonly value: unknown;
  readonly hasValue: boolean;
}

/** More operations than this in one patch are refused, as upstream does. */
const maxOperations = 10_000;

/** Applies the operations in order to a copy and returns it; throws {@link PatchError} at the first that fails. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  const operations = parseOperations(patch);
  // A one-field holder makes the whole document ("") a place like any other.
  const holder: Record<string, unknown> = { root: clone(document) };
  for (const operation of operations) perform(holder, operation);
  return holder['root'];
}

function parseOperations(patch: unknown): Operation[] {
  if (!Array.isArray(patch)) {
    throw new PatchError(`json: cannot unmarshal ${jsonTypeName(patch)} into Go value of type jsonpatch.Patch`, 'malformed');
  }
  if (patch.length > maxOperations) {
    throw new PatchError(`The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`, 'too-large');
  }
  return patch.map(parseOperation);
}

function parseOperation(entry: unknown): Operation {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw new PatchError(`json: cannot unmarshal ${jsonTypeName(entry)} into Go value of type jsonpatch.Operation`, 'malformed');
  }
  const { op, path, from, value } = entry as Record<string, unknown>;
  if (typeof path !== 'string') throw new PatchError(`jsonpatch ${shownOp(op)} operation does not apply: doc is missing path: "": missing value`);
  if (op !== 'add' && op !== 'remove' && op !== 'replace' && op !== 'move' && op !== 'copy' && op !== 'test') {
    throw new PatchError(`Unexpected kind: ${shownOp(op)}`);
  }
  if ((op === 'move' || op === 'copy') && typeof from !== 'string') {
    throw new PatchError(`${op} operation failed to decode from: missing value`);
  }
  const hasValue = Object.hasOwn(entry, 'value');
  if (!hasValue && (op === 'add' || op === 'replace')) throw new PatchError(`${op} operation for path ${JSON.stringify(path)} is missing a value`);
  return { op, path, from: typeof from === 'string' ? from : '', value, hasValue };
}

function shownOp(op: unknown): string {
  return typeof op === 'string' ? op : 'unknown';
}

function jsonTypeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function perform(holder: Record<string, unknown>, operation: Operation): void {
  const { op, path, from } = operation;
  switch (op) {
    case 'add':
      return insert(find(holder, path, op), clone(operation.value), op, path);
    case 'remove':
      remove(find(holder, path, op), op, path);
      return;
    case 'replace': {
      const place = find(holder, path, op);
      if (!exists(place)) throw new PatchError(`replace operation does not apply: doc is missing key: ${path}: missing value`);
      assign(place, clone(operation.value));
      return;
    }
    case 'move': {
      if (path === from) {
        if (!exists(find(holder, from, op))) throw missing(op, from);
        return;
      }
      if (path.startsWith(`${from}/`)) throw new PatchError(`jsonpatch move operation does not apply: cannot move ${from} into itself at ${path}`);
      const moved = remove(find(holder, from, op), op, from);
      return insert(find(holder, path, op), moved, op, path);
    }
    case 'copy': {
      const source = find(holder, from, op);
      if (!exists(source)) throw missing(op, from);
      return insert(find(holder, path, op), clone(read(source)), op, path);
    }
    case 'test': {
      const place = find(holder, path, op);
      // Upstream's library lets an absent value equal null.
      const found = exists(place) ? read(place) : null;
      if (!equal(found, operation.hasValue ? operation.value : null)) throw new PatchError(`testing value ${path} failed: test failed`);
      return;
    }
  }
}

/** A place in the document: a key of an object or an index of a list, which need not exist yet. */
interface Place {
  readonly container: Container;
  readonly key: string;
}

function find(holder: Record<string, unknown>, path: string, op: string): Place {
  if (path === '') return { container: holder, key: 'root' };
  if (!path.startsWith('/')) throw missing(op, path);
  const keys = path.slice(1).split('/').map(unescape);
  const last = keys.pop() ?? '';
  let node: unknown = holder['root'];
  for (const key of keys) {
    if (typeof node !== 'object' || node === null) throw missing(op, path);
    node = read({ container: node as Container, key });
  }
  if (typeof node !== 'object' || node === null) throw missing(op, path);
  return { container: node as Container, key: last };
}

function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

function missing(op: string, path: string): PatchError {
  return new PatchError(`${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}: missing value`);
}

/** Index in a list; negative ones count from the end, as upstream's library allows. NaN when it is none. */
function indexOf(list: readonly unknown[], key: string): number {
  if (!/^-?(0|[1-9]\d*)$/.test(key)) return Number.NaN;
  const index = Number(key);
  return index < 0 ? index + list.length : index;
}

function exists({ container, key }: Place): boolean {
  if (!Array.isArray(container)) return Object.hasOwn(container, key);
  const index = indexOf(container, key);
  return index >= 0 && index < container.length;
}

function read(place: Place): unknown {
  if (!exists(place)) return undefined;
  const { container, key } = place;
  return Array.isArray(container) ? container[indexOf(container, key)] : container[key];
}

function assign({ container, key }: Place, value: unknown): void {
  if (Array.isArray(container)) container[indexOf(container, key)] = value;
  else setOwn(container, key, value);
}

function insert({ container, key }: Place, value: unknown, op: string, path: string): void {
  if (!Array.isArray(container)) return setOwn(container, key, value);
  if (key === '-') {
    container.push(value);
    return;
  }
  const index = indexOf(container, key);
  if (!(index >= 0 && index <= container.length)) {
    throw new PatchError(
      `${op} operation does not apply: doc is missing path: ${JSON.stringify(path)}: Unable to access invalid index: ${key}: invalid index referenced`,
    );
  }
  container.splice(index, 0, value);
}

function remove(place: Place, op: string, path: string): unknown {
  if (!exists(place)) {
    if (op === 'remove')
      throw new PatchError(
        `remove operation does not apply: doc is missing path: ${JSON.stringify(path)}: Unable to remove nonexistent key: ${place.key}: missing value`,
      );
    throw missing(op, path);
  }
  const value = read(place);
  const { container, key } = place;
  if (Array.isArray(container)) container.splice(indexOf(container, key), 1);
  else delete container[key];
  return value;
}

/** Keys come from clients: `__proto__` must become a plain field. */
function setOwn(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  else record[key] = value;
}
