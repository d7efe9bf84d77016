/** What stands in the way of an apply, and how clients are told. */
import { type ApiError, applyConflict, type StatusCause } from './errors.ts';

/** A field that the applied configuration changes and another manager owns. */
export interface ApplyConflict {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly subresource: string;
  /** `.spec.template.spec.containers[name="c"].image` */
  readonly field: string;
}

/** The 409 for these conflicts, worded as clients know it. */
export function conflictError(conflicts: readonly ApplyConflict[]): ApiError {
  const causes: StatusCause[] = conflicts.map((conflict) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${printManager(conflict)}`,
    field: conflict.field,
  }));
  const [first] = conflicts;
  if (first !== undefined && conflicts.length === 1) {
    return applyConflict(`Apply failed with 1 conflict: conflict with ${printManager(first)}: ${first.field}`, causes);
  }
  const byManager = Map.groupBy(conflicts, printManager);
  const lines = [...byManager].flatMap(([manager, list]) => [`conflicts with ${manager}:`, ...list.map(({ field }) => `- ${field}`)]);
  return applyConflict(`Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`, causes);
}

function printManager({ manager, operation, apiVersion, subresource }: ApplyConflict): string {
  const name = `${JSON.stringify(manager)}${subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`}`;
  return operation === 'Update' ? `${name} using ${apiVersion}` : name;
}
