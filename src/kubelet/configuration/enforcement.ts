/** Which cgroups are held to what is theirs: the field `enforceNodeAllocatable` of a `KubeletConfiguration`, and those it goes with. */
import { ConfigurationError, type Fields } from './fields.ts';
import type { KubeletSettings, ReservedCgroup } from './settings.ts';

type Enforcement = Pick<KubeletSettings, 'enforcePodsAllocatable' | 'reservedCgroups'>;

const reservations = [
  { word: 'system-reserved', field: 'systemReservedCgroup', reservation: 'systemReserved' },
  { word: 'kube-reserved', field: 'kubeReservedCgroup', reservation: 'kubeReserved' },
] as const;
const known = ['none', 'pods', ...reservations.flatMap(({ word }) => [word, `${word}-compressible`])];

export function enforcementIn(fields: Fields): Partial<Enforcement> {
  const paths = new Map(reservations.map(({ field }) => [field, fields.text(field) ?? '']));
  const words = fields.texts('enforceNodeAllocatable');
  if (words === undefined) return {};
  for (const word of words) {
    if (!known.includes(word)) throw wrong(word, `must be one of ${known.join(', ')}`);
  }
  if (words.includes('none') && words.length > 1) throw wrong('none', 'may not stand with others');
  const reservedCgroups = reservations.flatMap(({ word, field, reservation }): ReservedCgroup[] => {
    const compressible = words.includes(`${word}-compressible`);
    if (compressible && words.includes(word)) throw wrong(word, `may not stand with ${word}-compressible`);
    if (!compressible && !words.includes(word)) return [];
    const path = paths.get(field) ?? '';
    if (path === '') throw new ConfigurationError(`${field}: must be given when enforceNodeAllocatable names ${word}`);
    return [{ reservation, path, compressible }];
  });
  return { enforcePodsAllocatable: words.includes('pods'), reservedCgroups };
}

/** As the file has them. */
export function shownEnforcement({ enforcePodsAllocatable, reservedCgroups }: Enforcement): Record<string, unknown> {
  const words = reservedCgroups.map(({ reservation, compressible }) => `${wordOf(reservation)}${compressible ? '-compressible' : ''}`);
  const all = [...(enforcePodsAllocatable ? ['pods'] : []), ...words];
  return {
    enforceNodeAllocatable: all.length === 0 ? ['none'] : all,
    ...Object.fromEntries(reservedCgroups.map(({ reservation, path }) => [`${reservation}Cgroup`, path])),
  };
}

function wordOf(reservation: ReservedCgroup['reservation']): string {
  return reservations.find((candidate) => candidate.reservation === reservation)?.word ?? reservation;
}

function wrong(word: string, why: string): ConfigurationError {
  return new ConfigurationError(`enforceNodeAllocatable: Invalid value: ${JSON.stringify(word)}: ${why}`);
}
