/** The images of one simulated node: names and nothing else, each with an id that is the same on every node. */
import type { Image } from './runtime.ts';

export class SimulatedImages {
  /** That no registry has: pulling one fails as containerd words it. */
  readonly missing = new Set<string>();
  /** That are on the node. */
  readonly local: Set<string>;
  /** Names by id: the kubelet creates containers from ids, and people want to read names. */
  readonly #names = new Map<string, string>();

  constructor(local: readonly string[]) {
    this.local = new Set(local);
  }

  /** The name an id was given for; the id itself when it was not. */
  nameOf(id: string): string {
    return this.#names.get(id) ?? id;
  }

  /** Answers the image's id. */
  pull(name: string): string {
    if (this.missing.has(name)) {
      throw new Error(
        `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
      );
    }
    this.local.add(name);
    return this.#image(name).id;
  }

  find(name: string): Image | undefined {
    return this.local.has(name) ? this.#image(name) : undefined;
  }

  list(): Image[] {
    return [...this.local].map((name) => this.#image(name));
  }

  #image(name: string): Image {
    const digest = fakeDigest(name);
    const id = `sha256:${digest}`;
    this.#names.set(id, name);
    return {
      id,
      repoTags: [name],
      repoDigests: [`${name}@sha256:${digest}`],
      sizeBytes: 1_000_000,
      uid: undefined,
      username: '',
    };
  }
}

/** 64 hex digits that depend on the name alone, so that the same image has the same id on every simulated node. */
function fakeDigest(name: string): string {
  let hex = '';
  for (let round = 0; hex.length < 64; round++) {
    let hash = 0x811c9dc5 ^ round;
    for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    hex += hash.toString(16).padStart(8, '0');
  }
  return hex.slice(0, 64);
}
