/**
 * One scheduling cycle as a pure function: a snapshot and a pod in, a decision out, with the verdict of each plugin on every node it looked at. No clock,
 * no I/O; where to begin and how to break ties is passed in. Upstream's `schedulePod`.
 */
import type { PodInfo } from './pod-info.ts';
import { type Stopwatch, untimed } from './observer.ts';
import { type Plugin, type Refusal, type Remedy, type FailedAttempt, maxScore, type NodeFilter } from './plugin.ts';
import { nodesToFind, type Profile } from './profile.ts';
import { type Blame, refusalMessage } from './refusal-message.ts';
import type { NodeRow, Snapshot } from './snapshot.ts';

export type Decision = Placed | Refused;

export interface Placed {
  readonly type: 'placed';
  readonly nodeName: string;
  /** Nodes that would have done, and the weighted total of each. */
  readonly fitting: readonly NodeRow[];
  readonly totals: Float64Array;
  /** How many nodes were looked at. */
  readonly looked: number;
}

export interface Refused {
  readonly type: 'refused';
  /** As the event and the pod's condition say it: `0/3 nodes are available: …`. */
  readonly message: string;
  readonly refusals: ReadonlyMap<NodeRow, Blame>;
  /** What holds for nodes that were not looked at. */
  readonly others: Blame | undefined;
  /** Plugins that refused some node: what must change before another try makes sense. */
  readonly plugins: ReadonlySet<string>;
  /** What can be done about it, and by which plugin: the first that knows something. */
  readonly remedy: (Remedy & { readonly plugin: string }) | undefined;
  readonly looked: number;
}

export interface Turn {
  /** In [0, 1): picks among equals. */
  readonly chance: number;
  /** Which node to begin with, so that a search that ends early does not always find the same ones. */
  readonly start: number;
  /** Told how long each step takes. */
  readonly stopwatch?: Stopwatch | undefined;
}

export function schedule(snapshot: Snapshot, pod: PodInfo, profile: Profile, turn: Turn): Decision {
  const { stopwatch = untimed } = turn;
  const found = stopwatch(
    'Filter',
    ({ fitting }) => fitting.length > 0,
    () => findNodes(snapshot, pod, profile, turn),
  );
  if (found.fitting.length === 0) {
    return stopwatch(
      'PostFilter',
      ({ remedy }) => remedy !== undefined,
      () => refused(snapshot, pod, profile, turn, found),
    );
  }
  const totals = stopwatch(
    'Score',
    () => true,
    () => scoreNodes(snapshot, pod, profile, found.fitting),
  );
  return choose(found, totals, turn);
}

// ---- filter

export interface Found {
  readonly fitting: NodeRow[];
  readonly refusals: Map<NodeRow, Blame>;
  readonly others: Blame | undefined;
  readonly looked: number;
  readonly filters: readonly PreparedFilter[];
  /** A plugin refused the pod as such. */
  readonly preFilterRefusal: Blame | undefined;
}

export interface PreparedFilter {
  readonly plugin: Plugin;
  readonly filter: NodeFilter;
}

interface Prepared {
  readonly filters: PreparedFilter[];
  /** The only nodes worth a look, and who said so. */
  readonly nodes: ReadonlySet<string> | undefined;
  readonly narrowedBy: readonly string[];
  readonly refusal: Blame | undefined;
}

/** Runs every plugin's `preFilter`; a plugin that has nothing to say is left out of this cycle. */
export function prepareFilters(snapshot: Snapshot, pod: PodInfo, profile: Profile): Prepared {
  const filters: PreparedFilter[] = [];
  let nodes: ReadonlySet<string> | undefined;
  const narrowedBy: string[] = [];
  for (const plugin of profile.filter) {
    const prepared = prepareFilter(snapshot, pod, plugin);
    if (prepared === undefined) continue;
    if (prepared.refusal) return { filters, nodes, narrowedBy, refusal: { plugin: plugin.name, refusal: prepared.refusal } };
    if (prepared.nodes) {
      const { nodes: only } = prepared;
      nodes = nodes === undefined ? only : new Set([...nodes].filter((name) => only.has(name)));
      narrowedBy.push(plugin.name);
    }
    if (prepared.filter) filters.push({ plugin, filter: prepared.filter });
  }
  return { filters, nodes, narrowedBy, refusal: undefined };
}

function prepareFilter(snapshot: Snapshot, pod: PodInfo, plugin: Plugin): ReturnType<NonNullable<Plugin['preFilter']>> {
  if (plugin.preFilter) return plugin.preFilter(pod, snapshot);
  const { filter } = plugin;
  return filter && { filter: (node) => filter(pod, node, snapshot) };
}

export function findNodes(snapshot: Snapshot, pod: PodInfo, profile: Profile, { start }: Turn): Found {
  const { filters, nodes: only, narrowedBy, refusal } = prepareFilters(snapshot, pod, profile);
  if (refusal) return { fitting: [], refusals: new Map(), others: refusal, looked: 0, filters, preFilterRefusal: refusal };
  const others = only && notAmong(narrowedBy);
  const nodes = only === undefined ? snapshot.nodes : rowsOf(snapshot, only);
  const fits = fitTest(snapshot, pod, filters);

  // Room was made for the pod on this node: if it fits there now, that is where it goes.
  const promised = pod.pod.status.nominatedNodeName;
  const promisedNode = promised === undefined ? undefined : snapshot.node(promised);
  if (promisedNode?.node && nodes.includes(promisedNode) && fits(promisedNode) === undefined) {
    return { fitting: [promisedNode], refusals: new Map(), others, looked: 1, filters, preFilterRefusal: undefined };
  }

  const enough = nodesToFind(nodes.length, profile.percentageOfNodesToScore);
  const fitting: NodeRow[] = [];
  const refusedNodes: NodeRow[] = [];
  const blames: Blame[] = [];
  let looked = 0;
  const begin = nodes.length === 0 ? 0 : start % nodes.length;
  for (; looked < nodes.length && fitting.length < enough; looked++) {
    const place = begin + looked;
    const node = nodes[place < nodes.length ? place : place - nodes.length];
    if (node === undefined) continue;
    const blame = fits(node);
    if (blame === undefined) {
      fitting.push(node);
    } else {
      refusedNodes.push(node);
      blames.push(blame);
    }
  }
  // Only a refusal is ever asked which node was refused why; nearly all decisions are not.
  const refusals = new Map<NodeRow, Blame>();
  if (fitting.length === 0 || profile.extenders.length > 0) {
    for (const [index, node] of refusedNodes.entries()) {
      const blame = blames[index];
      if (blame) refusals.set(node, blame);
    }
  }
  return { fitting, refusals, others, looked, filters, preFilterRefusal: undefined };
}

/** The first plugin that refuses decides: later ones could only repeat that the node will not do. */
export function firstRefusal(filters: readonly PreparedFilter[], node: NodeRow): Blame | undefined {
  for (const { plugin, filter } of filters) {
    const refusal = filter(node);
    if (refusal !== undefined) return blameOf(plugin.name, refusal);
  }
  return undefined;
}

/** Refusals are few and shared; so is who is to blame for them. */
const blames = new WeakMap<Refusal, Blame>();

function blameOf(plugin: string, refusal: Refusal): Blame {
  let blame = blames.get(refusal);
  if (blame?.plugin !== plugin) {
    blame = { plugin, refusal };
    blames.set(refusal, blame);
  }
  return blame;
}

/**
 * Whether the pod fits on a node: with the pods that room is being made for there (those of the same or a higher priority), and without them, for a pod
 * may need one of them to be there, and they may never come.
 */
function fitTest(snapshot: Snapshot, pod: PodInfo, filters: readonly PreparedFilter[]): (node: NodeRow) => Blame | undefined {
  if (!snapshot.hasNominated) return (node) => firstRefusal(filters, node);
  return (node) => {
    const rivals = snapshot.nominated(node.name).filter((other) => other.key !== pod.key && other.priority >= pod.priority);
    if (rivals.length > 0) {
      const crowded = snapshot.whatIf((change) => {
        for (const rival of rivals) change.add(rival, node.name);
        return firstRefusal(preparedAnew(snapshot, pod, filters), node);
      });
      if (crowded !== undefined) return crowded;
    }
    return firstRefusal(filters, node);
  };
}

/** The same filters under changed circumstances: those that looked at placed pods look again. */
export function preparedAnew(snapshot: Snapshot, pod: PodInfo, filters: readonly PreparedFilter[]): PreparedFilter[] {
  return filters.flatMap((prepared) => {
    const { plugin } = prepared;
    if (plugin.dependsOnPods !== true) return [prepared];
    const anew = prepareFilter(snapshot, pod, plugin);
    if (anew?.refusal) {
      const { refusal } = anew;
      return [{ plugin, filter: () => refusal }];
    }
    return anew?.filter ? [{ plugin, filter: anew.filter }] : [];
  });
}

function notAmong(plugins: readonly string[]): Blame {
  const [plugin = ''] = plugins;
  return { plugin, refusal: { reasons: [`node(s) didn't satisfy plugin(s) [${[...plugins].sort().join(' ')}]`], unresolvable: true } };
}

function rowsOf(snapshot: Snapshot, names: ReadonlySet<string>): NodeRow[] {
  const rows: NodeRow[] = [];
  for (const name of names) {
    const row = snapshot.node(name);
    if (row?.node !== undefined) rows.push(row);
  }
  return rows;
}

// ---- score

export interface PluginScores {
  readonly plugin: string;
  readonly weight: number;
  /** As the plugin gave them, and brought to 0…100. */
  readonly raw: Float64Array;
  readonly normalized: Float64Array;
}

/** Weighted totals. `note` is told of each plugin's part; it is for explanations. */
export function scoreNodes(
  snapshot: Snapshot,
  pod: PodInfo,
  profile: Profile,
  nodes: readonly NodeRow[],
  note?: (scores: PluginScores) => void,
): Float64Array {
  const totals = new Float64Array(nodes.length);
  if (nodes.length <= 1 && note === undefined) return totals;
  const scores = new Float64Array(nodes.length);
  for (const { plugin, weight } of profile.score) {
    const scoring = plugin.preScore ? plugin.preScore(pod, snapshot, nodes) : shortScoring(snapshot, pod, plugin);
    if (scoring === undefined) continue;
    const { score, normalize } = scoring;
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i];
      if (node !== undefined) scores[i] = score(node);
    }
    const raw = note && scores.slice();
    normalize?.(scores, nodes);
    for (let i = 0; i < nodes.length; i++) totals[i] = (totals[i] ?? 0) + weight * (scores[i] ?? 0);
    if (note && raw) note({ plugin: plugin.name, weight, raw, normalized: scores.slice() });
  }
  return totals;
}

function shortScoring(snapshot: Snapshot, pod: PodInfo, { score }: Plugin): ReturnType<NonNullable<Plugin['preScore']>> {
  return score && { score: (node) => Math.max(0, Math.min(maxScore, score(pod, node, snapshot))) };
}

export function choose(found: Pick<Found, 'fitting' | 'looked'>, totals: Float64Array, { chance }: Pick<Turn, 'chance'>): Placed {
  const { fitting, looked } = found;
  let best = -Infinity;
  let ties = 0;
  for (const total of totals) {
    if (total > best) {
      best = total;
      ties = 1;
    } else if (total === best) {
      ties++;
    }
  }
  let skip = Math.floor(chance * ties);
  for (let i = 0; i < fitting.length; i++) {
    if (totals[i] !== best) continue;
    const winner = fitting[i];
    if (winner !== undefined && skip-- === 0) return { type: 'placed', nodeName: winner.name, fitting, totals, looked };
  }
  throw new Error('a node that fits was lost between filter and score');
}

// ---- when nothing fits

export function refused(snapshot: Snapshot, pod: PodInfo, profile: Profile, { chance }: Pick<Turn, 'chance'>, found: Found): Refused {
  const { refusals, others, looked, filters, preFilterRefusal } = found;
  const total = snapshot.nodes.length;
  if (total === 0) {
    const plugins = new Set(profile.plugins.map((plugin) => plugin.name));
    return { type: 'refused', message: 'no nodes available to schedule pods', refusals, others, plugins, remedy: undefined, looked };
  }
  const plugins = new Set<string>();
  for (const { plugin } of refusals.values()) plugins.add(plugin);
  if (others) plugins.add(others.plugin);
  const { remedy, messages } = remedyFor(snapshot, pod, profile, chance, found, filters);
  const message = refusalMessage({ total, refusals: refusals.values(), looked: refusals.size, others, preFilterRefusal, remedies: messages });
  return { type: 'refused', message, refusals, others, plugins, remedy, looked };
}

function remedyFor(
  snapshot: Snapshot,
  pod: PodInfo,
  profile: Profile,
  chance: number,
  found: Found,
  filters: readonly PreparedFilter[],
): { remedy: Refused['remedy']; messages: string[] } {
  const refusals = new Map([...found.refusals].map(([node, { refusal }]) => [node, refusal]));
  // Filters of plugins after one that refused the pod as such were never prepared: whoever asks again needs all of them.
  const all = (): readonly PreparedFilter[] =>
    found.preFilterRefusal ? prepareFilters(snapshot, pod, profile).filters : preparedAnew(snapshot, pod, filters);
  const attempt: FailedAttempt = {
    refusals,
    others: found.others?.refusal,
    chance,
    wouldFit: (node) => {
      const blocked = found.preFilterRefusal && prepareFilters(snapshot, pod, profile).refusal;
      return blocked ? blocked.refusal : fitTest(snapshot, pod, all())(node)?.refusal;
    },
  };
  const messages: string[] = [];
  for (const plugin of profile.postFilter) {
    const remedy = plugin.postFilter?.(pod, snapshot, attempt);
    if (remedy?.message) messages.push(remedy.message);
    if (remedy?.plan ?? remedy?.keepsPromise) return { remedy: { ...remedy, plugin: plugin.name }, messages };
  }
  return { remedy: undefined, messages };
}
