/** What can go wrong with an expression: it does not compile, it has no answer for these values, it costs too much, or an answer is not there yet. */

/** The expression is none, or it could not be evaluated with these values. */
export class CelError extends Error {
  override readonly name: string = 'CelError';
}

/** Evaluating costs more than it may. No operator makes up for it, as `||` does for other errors. */
export class CelCostError extends CelError {
  override readonly name = 'CelCostError';
}

/** A function has to ask elsewhere: evaluate again when the promise has settled. Not a `CelError`: nothing in the expression takes notice. */
export class CelPending extends Error {
  override readonly name = 'CelPending';
  readonly settled: Promise<unknown>;

  constructor(settled: Promise<unknown>) {
    super('an answer is awaited');
    this.settled = settled;
  }
}

/** One thing wrong with a source text, as upstream shows it: with the line and a pointer below. */
export interface Issue {
  readonly offset: number;
  readonly message: string;
}

export function shownIssues(source: string, issues: readonly Issue[]): string {
  return issues.map((issue) => shownIssue(source, issue)).join('\n');
}

function shownIssue(source: string, { offset, message }: Issue): string {
  const before = source.slice(0, offset);
  const line = before.split('\n').length;
  const start = before.lastIndexOf('\n') + 1;
  const end = source.indexOf('\n', start);
  const column = Array.from(source.slice(start, offset)).length;
  const text = source.slice(start, end < 0 ? undefined : end).replaceAll('\t', ' ');
  return `ERROR: <input>:${line}:${column + 1}: ${message}\n | ${text}\n | ${'.'.repeat(column)}^`;
}
