/**
 * Remembers what a calculation answered for each node, until something about the node changes. A thousand replicas ask the same question of the same nodes one
 * after the other, and between two of them only one node has changed.
 */
import type { NodeRow, Snapshot } from './snapshot.ts';

interface Answers {
  /** For which version of the node each answer is. */
  versions: Int32Array;
  values: Float64Array;
}

/** Questions remembered for each snapshot. */
const maxQuestions = 64;

export class NodeMemo {
  private readonly bySnapshot = new WeakMap<Snapshot, Map<string, Answers>>();

  /** `question` is equal for calculations that answer alike as long as the node stays the same. */
  remember(snapshot: Snapshot, question: string, calculate: (index: number) => number): (node: NodeRow) => number {
    const { versions, values } = this.answersTo(snapshot, question);
    const now = snapshot.versions;
    return ({ index }) => {
      const version = now[index] ?? 0;
      if (versions[index] !== version) {
        values[index] = calculate(index);
        versions[index] = version;
      }
      return values[index] ?? 0;
    };
  }

  private answersTo(snapshot: Snapshot, question: string): Answers {
    let questions = this.bySnapshot.get(snapshot);
    if (questions === undefined) {
      questions = new Map();
      this.bySnapshot.set(snapshot, questions);
    }
    let answers = questions.get(question);
    if (answers === undefined || answers.values.length < snapshot.capacity) {
      answers = { versions: new Int32Array(snapshot.capacity).fill(-1), values: new Float64Array(snapshot.capacity) };
      if (questions.size >= maxQuestions) questions.clear();
      questions.set(question, answers);
    }
    return answers;
  }
}
