/**
 * Transcripts: what was typed into a shell and what came back, as text on disk, for several versions of a program. `$` begins a command (`>` goes on with it),
 * two spaces a line it printed, `!` a line on its error stream, `=` its exit code; `[v1.20 v1.32]` heads an answer that only those versions give. Before a
 * command, `@since v1.32` and `@until v1.20` say which versions know it, `@eventually` asks again until the answer is right, `@differs` says where and why a
 * real Kubernetes v1.36 answers otherwise, and `#` is a remark.
 */

export interface Answer {
  readonly lines: readonly string[];
}

export interface Step {
  readonly line: number;
  readonly remarks: readonly string[];
  readonly marks: readonly string[];
  readonly command: string;
  /** By version; `all` is what every version without an answer of its own says. */
  readonly answers: ReadonlyMap<string, Answer>;
}

interface OpenStep {
  line: number;
  remarks: string[];
  marks: string[];
  command: string;
  answers: Map<string, { lines: string[] }>;
  heads: readonly string[];
}

const everyVersion = 'all';

/** Of kubectl: what Debian's releases and npm have. */
export const versions: readonly string[] = ['v1.20', 'v1.32', 'v1.35', 'v1.36'];

/** Throws with the line of what is no transcript. */
export function readTranscript(text: string): Step[] {
  const steps: OpenStep[] = [];
  let [remarks, marks]: [string[], string[]] = [[], []];
  for (const [index, line] of text.split('\n').entries()) {
    const step = steps.at(-1);
    if (line.trim() === '') continue;
    else if (line.startsWith('#')) remarks.push(line);
    else if (line.startsWith('@')) marks.push(line.slice(1));
    else if (line.startsWith('$ ')) {
      steps.push({ line: index + 1, remarks, marks, command: line.slice(2), answers: new Map(), heads: [everyVersion] });
      [remarks, marks] = [[], []];
    } else if (!step) throw new Error(`line ${index + 1}: an answer before any command`);
    else if (line.startsWith('> ')) step.command += `\n${line.slice(2)}`;
    else if (line.startsWith('[v') && line.endsWith(']')) step.heads = open(step, line.slice(1, -1).split(' '));
    else if (/^( {2}|! ?|= )/.test(line)) {
      if (step.answers.size === 0) open(step, step.heads);
      for (const head of step.heads) step.answers.get(head)?.lines.push(line);
    } else throw new Error(`line ${index + 1}: neither a command nor an answer: ${line}`);
  }
  return steps;
}

function open(step: OpenStep, heads: readonly string[]): readonly string[] {
  for (const head of heads) step.answers.set(head, { lines: [] });
  return heads;
}

export function expectedLines(step: Step, version: string): readonly string[] {
  return (step.answers.get(version) ?? step.answers.get(everyVersion))?.lines ?? [];
}

export function hasMark(step: Step, mark: string): boolean {
  return step.marks.includes(mark);
}

/** What a real server answers otherwise, and why this one does not. */
export function differencesOf(step: Step): readonly string[] {
  return step.marks.filter((mark) => mark.startsWith('differs ')).map((mark) => mark.slice('differs '.length));
}

/** Whether this version of the program has the command at all. */
export function isKnownTo(step: Step, version: string): boolean {
  return step.marks.every((mark) => {
    const [word, bound] = mark.split(' ');
    if (bound === undefined) return true;
    if (word === 'since') return minor(version) >= minor(bound);
    if (word === 'until') return minor(version) <= minor(bound);
    return true;
  });
}

/** The step with another answer for this version; `undefined` when it has none. */
export function withAnswers(step: Step, version: string, lines: readonly string[] | undefined): Step {
  const answers = new Map(versions.filter((one) => isKnownTo(step, one)).map((one) => [one, { lines: expectedLines(step, one) }]));
  if (lines !== undefined) answers.set(version, { lines });
  return { ...step, answers };
}

/** What {@link readTranscript} reads; answers that are the same are told once. */
export function writeTranscript(steps: readonly Step[]): string {
  return steps.map(writeStep).join('\n');
}

function writeStep(step: Step): string {
  const groups = new Map<string, string[]>();
  for (const [version, { lines }] of step.answers) {
    const text = lines.map((line) => `${line}\n`).join('');
    groups.set(text, [...(groups.get(text) ?? []), version]);
  }
  const command = step.command.split('\n').map((line, index) => `${index === 0 ? '$' : '>'} ${line}\n`);
  const head = [...step.remarks.map((line) => `${line}\n`), ...step.marks.map((mark) => `@${mark}\n`), ...command].join('');
  if (groups.size <= 1) return head + [...groups.keys()].join('');
  return head + [...groups].map(([text, those]) => `[${those.join(' ')}]\n${text}`).join('');
}

function minor(version: string): number {
  return Number(version.split('.')[1]);
}
