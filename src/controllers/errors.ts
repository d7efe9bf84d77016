/** What controllers look for in errors. */
import { isReason } from '../machinery/errors.ts';

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The namespace is on its way out: it takes nothing new, and will take what wanted it too. */
export function isNamespaceTerminating(error: unknown): boolean {
  return isReason(error, 'Forbidden') && error.details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating') === true;
}

/** For deletions: already gone, or replaced by another of its name, is as good as deleted. */
export function ignoreGone(error: unknown): undefined {
  if (isReason(error, 'NotFound', 'Conflict')) return undefined;
  throw error;
}
