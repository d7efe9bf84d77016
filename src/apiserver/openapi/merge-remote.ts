/** OpenAPI version 2 has everything in one document: what other servers serve is put into this server's. */
import { equal } from '../../machinery/equal.ts';
import { isFields } from '../custom-resources/structure.ts';

type Fields = Record<string, unknown>;

const definitionsPrefix = '#/definitions/';

/** Changes `document`: adds the remote one's paths below `prefix`, and the definitions they lead to. Names that mean something else here get another. */
export function mergeRemote(document: { readonly paths: Fields; readonly definitions: Fields }, remote: Readonly<Fields>, prefix: string): void {
  const definitions = isFields(remote['definitions']) ? remote['definitions'] : {};
  const paths = Object.entries(isFields(remote['paths']) ? remote['paths'] : {}).filter(([path]) => path === prefix || path.startsWith(`${prefix}/`));
  const wanted = reachable(
    paths.map(([, item]) => item),
    definitions,
  );
  for (const [name, definition] of Object.entries(definitions))
    if (saysKindIn(definition, prefix)) for (const found of reachable([definition], definitions).add(name)) wanted.add(found);
  const names = new Map<string, string>();
  for (const name of wanted) {
    const here = document.definitions[name];
    if (here !== undefined && !equal(here, definitions[name])) names.set(name, freeName(name, document.definitions));
  }
  for (const name of wanted) {
    const target = names.get(name) ?? name;
    document.definitions[target] ??= renamed(definitions[name], names);
  }
  for (const [path, item] of paths) document.paths[path] ??= renamed(item, names);
}

/** A server's kinds are told even when no path is. */
function saysKindIn(definition: unknown, prefix: string): boolean {
  if (!isFields(definition)) return false;
  const kinds = definition['x-kubernetes-group-version-kind'];
  return Array.isArray(kinds) && kinds.some((kind) => isFields(kind) && `/apis/${String(kind['group'])}/${String(kind['version'])}` === prefix);
}

function reachable(from: readonly unknown[], definitions: Readonly<Fields>): Set<string> {
  const found = new Set<string>();
  const look = [...from];
  for (let value = look.pop(); look.length > 0 || value !== undefined; value = look.pop()) {
    if (Array.isArray(value)) look.push(...(value as unknown[]));
    if (!isFields(value)) continue;
    const reference = value['$ref'];
    if (typeof reference === 'string' && reference.startsWith(definitionsPrefix)) {
      const name = reference.slice(definitionsPrefix.length);
      if (Object.hasOwn(definitions, name) && !found.has(name)) {
        found.add(name);
        look.push(definitions[name]);
      }
    }
    for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) look.push(inner);
  }
  return found;
}

function freeName(name: string, taken: Readonly<Fields>): string {
  for (let number = 2; ; number++) if (!Object.hasOwn(taken, `${name}_v${number}`)) return `${name}_v${number}`;
}

function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (names.size === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => renamed(item, names));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const other = key === '$ref' && typeof inner === 'string' ? names.get(inner.slice(definitionsPrefix.length)) : undefined;
      return [key, other === undefined ? renamed(inner, names) : definitionsPrefix + other];
    }),
  );
}
