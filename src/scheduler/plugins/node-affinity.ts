/** NodeAffinity: `nodeSelector`, required and preferred node affinity against the node's labels and name. `addedAffinity` is the profile's own, on top of the pod's. */
import type { V1NodeAffinity, V1NodeSelectorTerm } from '../../api/types.ts';
import { matchesTerm, selectsNode } from '../../machinery/node-selector.ts';
import type { Arguments } from '../config/arguments.ts';
import { normalizeByHighest, type PluginDefinition, type Refusal } from '../plugin.ts';

const notSelected: Refusal = { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true };
const notAdded: Refusal = { reasons: ["node(s) didn't match scheduler-enforced node affinity"], unresolvable: true };
const conflict: Refusal = { reasons: ['pod affinity terms conflict'], unresolvable: true };

export const nodeAffinity: PluginDefinition = {
  name: 'NodeAffinity',
  weight: 2,
  create(args) {
    const added = addedAffinity(args);
    const addedTerms = added?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    const addedPreferred = added?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    return {
      name: 'NodeAffinity',
      hints: [{ on: ['NodeAdd', 'NodeUpdateLabel'] }],
      preFilter(pod) {
        const { nodeSelector, affinity } = pod.pod.spec;
        const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
        if (nodeSelector === undefined && terms === undefined && addedTerms === undefined) return undefined;
        const nodes = terms && namedNodes(terms);
        if (nodes?.size === 0) return { refusal: conflict };
        return {
          ...(nodes && { nodes }),
          filter({ node }) {
            if (node === undefined) return notSelected;
            if (addedTerms && !selectsNode(undefined, addedTerms, node)) return notAdded;
            return selectsNode(nodeSelector, terms, node) ? undefined : notSelected;
          },
        };
      },
      preScore(pod) {
        const own = pod.pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
        const preferred = [...addedPreferred, ...own].filter(({ weight }) => weight !== 0);
        if (preferred.length === 0) return undefined;
        return {
          score: ({ node }) => preferred.reduce((sum, { weight, preference }) => (node && matchesTerm(preference, node) ? sum + weight : sum), 0),
          normalize: (scores) => normalizeByHighest(scores),
        };
      },
    };
  },
};

function addedAffinity(args: Arguments): V1NodeAffinity | undefined {
  const given = args.object('addedAffinity');
  args.done();
  if (given === undefined) return undefined;
  const required = given.object('requiredDuringSchedulingIgnoredDuringExecution');
  const preferred = given.objects('preferredDuringSchedulingIgnoredDuringExecution');
  given.done();
  const terms = required?.objects('nodeSelectorTerms')?.map(termOf);
  if (required !== undefined && (terms === undefined || terms.length === 0))
    required.refuse('nodeSelectorTerms', 'must have at least one node selector term');
  required?.done();
  return {
    ...(terms && { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } }),
    ...(preferred && {
      preferredDuringSchedulingIgnoredDuringExecution: preferred.map((one) => {
        const weight = one.whole('weight', 1, 100);
        const preference = one.object('preference');
        if (weight === undefined) return one.refuse('weight', 'must be given');
        if (preference === undefined) return one.refuse('preference', 'must be given');
        one.done();
        return { weight, preference: termOf(preference) };
      }),
    }),
  };
}

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'] as const;

function termOf(term: Arguments): V1NodeSelectorTerm {
  const read = (name: string): { key: string; operator: string; values?: string[] }[] =>
    (term.objects(name) ?? []).map((one) => {
      const [key, operator, values] = [one.text('key'), one.oneOf('operator', operators), one.texts('values')];
      if (key === undefined) return one.refuse('key', 'must be given');
      if (operator === undefined) return one.refuse('operator', 'must be given');
      one.done();
      return { key, operator, ...(values && { values }) };
    });
  const answer = { matchExpressions: read('matchExpressions'), matchFields: read('matchFields') };
  term.done();
  return answer;
}

/** The only nodes the terms allow, when every term names its nodes, as a daemon set's pods do; undefined when they may be any. */
function namedNodes(terms: readonly V1NodeSelectorTerm[]): Set<string> | undefined {
  const all = new Set<string>();
  for (const { matchFields = [] } of terms) {
    let names: Set<string> | undefined;
    for (const { key, operator, values = [] } of matchFields) {
      if (key !== 'metadata.name' || operator !== 'In') continue;
      const known = names;
      names = new Set(known === undefined ? values : values.filter((value) => known.has(value)));
    }
    if (names === undefined) return undefined;
    for (const name of names) all.add(name);
  }
  return terms.length === 0 ? undefined : all;
}
