/**
 * The conformance behaviours of sig-apps, sig-network, sig-node and sig-storage that nothing simulated can show, by what in them needs a real container.
 * All others of these groups have a test of their name in this folder.
 */
export interface NeedsContainers {
  readonly because: string;
  readonly behaviours: readonly string[];
}

export const needsContainers: readonly NeedsContainers[] = [];
