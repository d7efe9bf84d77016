/** Which ranges the ServiceCIDR objects say are to be used. Upstream's `MetaAllocator`. */
import type { ServiceCIDR } from '../../api/kinds.ts';

/** The one the server makes itself, of the ranges it is configured with. */
export const defaultServiceCidr = 'kubernetes';

/** The ranges of those that are ready and stay, the server's own first. While it has none yet (a cluster's first moment) what is configured counts. */
export function rangesInUse(objects: readonly ServiceCIDR[], configured: readonly string[]): string[] {
  const own = objects.find(({ metadata }) => metadata.name === defaultServiceCidr);
  const others = objects.filter((object) => object !== own && isReady(object, false));
  const first = own === undefined ? configured : isReady(own, true) ? (own.spec.cidrs ?? []) : [];
  return [...first, ...others.flatMap(({ spec }) => spec.cidrs ?? [])];
}

function isReady({ metadata, status }: ServiceCIDR, unsaid: boolean): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const condition = status?.conditions?.find(({ type }) => type === 'Ready');
  return condition === undefined ? unsaid : condition.status === 'True';
}
