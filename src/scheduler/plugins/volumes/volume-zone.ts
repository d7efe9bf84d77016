/** VolumeZone: a volume that carries a zone or region label is used in that zone or region only. */
import type { PluginDefinition, Refusal } from '../../plugin.ts';
import { claimsOf, isBound, volumeOf, waitsForPod } from './pod-claims.ts';

const otherZone: Refusal = { reasons: ['node(s) had no available volume zone'], unresolvable: true };

/** Newer names first; a node may have only the older one. */
const labelPairs = [
  ['topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/zone'],
  ['topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/region'],
] as const;

export const volumeZone: PluginDefinition = {
  name: 'VolumeZone',
  create: () => ({
    name: 'VolumeZone',
    hints: [{ on: ['NodeAdd', 'NodeUpdateLabel', 'PersistentVolumeClaim', 'PersistentVolume', 'StorageClass'] }],
    preFilter(pod, snapshot) {
      if (pod.claims.length === 0) return undefined;
      const found = claimsOf(pod, snapshot);
      if ('refusal' in found) return found;
      const wanted: { readonly names: readonly string[]; readonly values: ReadonlySet<string> }[] = [];
      for (const claim of found.claims) {
        if (!isBound(claim) && waitsForPod(claim, snapshot)) continue;
        const labels = volumeOf(claim, snapshot)?.metadata.labels;
        for (const names of labelPairs) {
          const value = labels?.[names[0]] ?? labels?.[names[1]];
          // A volume of several zones has them joined.
          if (value !== undefined) wanted.push({ names, values: new Set(value.split('__')) });
        }
      }
      if (wanted.length === 0) return undefined;
      return {
        filter({ node }) {
          const labels = node?.metadata.labels;
          // A node that says nothing about zones is in none: nothing speaks against it.
          if (!labelPairs.flat().some((name) => labels?.[name] !== undefined)) return undefined;
          const isRight = wanted.every(({ names, values }) => names.some((name) => labels?.[name] !== undefined && values.has(labels[name])));
          return isRight ? undefined : otherZone;
        },
      };
    },
  }),
};
