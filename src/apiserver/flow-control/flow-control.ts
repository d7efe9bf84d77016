/**
 * API priority and fairness: every request belongs to a flow schema, which leads to a priority level with a share of the server's seats. A request that
 * finds a seat free passes with a few comparisons; one that does not waits in its flow's queues. Watches and streams take no seat once they run.
 * See https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
 */
import { FlowSchema, PriorityLevelConfiguration } from '../../api/kinds.ts';
import type { World } from '../../world/world.ts';
import type { Attributes } from '../authorization/authorizer.ts';
import { andThen, type NowOrLater } from '../now-or-later.ts';
import type { User } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';
import { type Classified, covers, rulesForUser, type UserRules } from './classify.ts';
import { type LevelSettings, PriorityLevel } from './priority-level.ts';
import { type ObjectCounts, widthOf } from './width.ts';

export interface FlowControlOptions {
  readonly world: World;
  readonly objects: ObjectReader;
  /** How many requests the server works on at a time, over all levels. */
  readonly seats: number;
  /** What makes lists wider than other requests; all are alike when absent. */
  readonly counts?: ObjectCounts;
}

/** A schema and the level it leads to; what a request is answered with in headers. */
export interface Assignment {
  readonly schema: FlowSchema;
  readonly level: PriorityLevel;
  readonly headers: { readonly 'x-kubernetes-pf-flowschema-uid': string; readonly 'x-kubernetes-pf-prioritylevel-uid': string };
}

interface Candidate {
  readonly assignment: Assignment;
  readonly rules: UserRules;
}

export class FlowControl {
  private readonly options: FlowControlOptions;
  private readonly levels = new Map<string, PriorityLevel>();
  private assignments: readonly Assignment[] = [];
  private candidates = new WeakMap<User, readonly Candidate[]>();
  private schemasSeen = -1;
  private levelsSeen = -1;

  constructor(options: FlowControlOptions) {
    this.options = options;
  }

  /** Where the request belongs; undefined when nothing is configured, and then nothing is limited. */
  classify(user: User, request: Classified): Assignment | undefined {
    this.refresh();
    let candidates = this.candidates.get(user);
    if (candidates === undefined) {
      candidates = this.assignments.flatMap((assignment) => {
        const rules = rulesForUser(assignment.schema, user);
        return rules === undefined ? [] : [{ assignment, rules }];
      });
      this.candidates.set(user, candidates);
    }
    for (const { assignment, rules } of candidates) if (covers(rules, request)) return assignment;
    return this.assignments.at(-1);
  }

  /** How many seats the request takes. */
  widthOf(asked: Attributes, queryText: string): number {
    const { counts } = this.options;
    return counts === undefined ? 1 : widthOf(counts, asked, queryText);
  }

  /** Seats: there now (undefined), or later; a 429 when there are none to wait for. To be given back with `level.leave(seats)`. */
  enter({ schema, level }: Assignment, user: User, request: Classified, seats = 1): NowOrLater<void> {
    if (level.tryEnter(seats)) return undefined;
    const by = schema.spec.distinguisherMethod?.type;
    const distinguisher = by === 'ByUser' ? user.name : by === 'ByNamespace' ? request.namespace : '';
    return level.enter({ schema: schema.metadata.name, distinguisher }, seats, request);
  }

  /** As {@link classify} and {@link enter} in one, for what is not an ordinary exchange: who got in, leaves. */
  seat(user: User, asked: Attributes, queryText: string): NowOrLater<{ leave(): void } | undefined> {
    const assignment = this.classify(user, asked);
    if (assignment === undefined) return undefined;
    const seats = this.widthOf(asked, queryText);
    return andThen<void, { leave(): void }>(this.enter(assignment, user, asked, seats), () => ({ leave: () => assignment.level.leave(seats) }));
  }

  *allLevels(): Generator<PriorityLevel> {
    yield* this.levels.values();
  }

  close(): void {
    for (const level of this.levels.values()) level.close();
  }

  private refresh(): void {
    const { objects } = this.options;
    const schemas = objects.revision(FlowSchema);
    const levels = objects.revision(PriorityLevelConfiguration);
    if (schemas === this.schemasSeen && levels === this.levelsSeen) return;
    if (levels !== this.levelsSeen) this.applyLevels(objects.list(PriorityLevelConfiguration));
    this.schemasSeen = schemas;
    this.levelsSeen = levels;
    const ordered = objects.list(FlowSchema).toSorted((a, b) => precedence(a) - precedence(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    // A schema that leads to no level leads nowhere: the next one that fits is asked.
    this.assignments = ordered.flatMap((schema): Assignment[] => {
      const level = this.levels.get(schema.spec.priorityLevelConfiguration.name);
      if (level === undefined) return [];
      const headers = { 'x-kubernetes-pf-flowschema-uid': schema.metadata.uid, 'x-kubernetes-pf-prioritylevel-uid': level.settings.uid };
      return [{ schema, level, headers }];
    });
    this.candidates = new WeakMap();
  }

  private applyLevels(configurations: readonly PriorityLevelConfiguration[]): void {
    const shares = configurations.reduce((sum, configuration) => sum + sharesOf(configuration), 0);
    const names = new Set<string>();
    for (const configuration of configurations) {
      const settings = settingsOf(configuration, shares, this.options.seats);
      names.add(settings.name);
      const level = this.levels.get(settings.name);
      if (level === undefined) {
        const { clock } = this.options.world;
        this.levels.set(settings.name, new PriorityLevel(settings, clock, (asking) => this.idleFor(asking)));
      } else {
        level.settings = settings;
        level.dispatch();
      }
    }
    // Who holds or waits for a seat of a level that went still has it: only nobody new comes.
    for (const name of this.levels.keys()) if (!names.has(name)) this.levels.delete(name);
  }

  /** Seats others lend and do not need now. They get them back as they come free. */
  private idleFor(asking: PriorityLevel): number {
    let idle = 0;
    let lent = 0;
    for (const { settings, inUse } of this.levels.values()) {
      if (settings.exempt) continue;
      const over = Math.max(0, inUse - settings.seats);
      if (settings.name !== asking.settings.name) {
        idle += Math.min(settings.lendable, Math.max(0, settings.seats - inUse));
        lent += over;
      }
    }
    return idle - lent;
  }
}

function precedence({ spec }: FlowSchema): number {
  return spec.matchingPrecedence ?? 1000;
}

function sharesOf({ spec }: PriorityLevelConfiguration): number {
  return spec.type === 'Exempt' ? (spec.exempt?.nominalConcurrencyShares ?? 0) : (spec.limited?.nominalConcurrencyShares ?? 30);
}

function settingsOf(configuration: PriorityLevelConfiguration, allShares: number, serverSeats: number): LevelSettings {
  const { spec, metadata } = configuration;
  const exempt = spec.type === 'Exempt';
  const seats = allShares === 0 ? 0 : Math.ceil((serverSeats * sharesOf(configuration)) / allShares);
  const lendablePercent = (exempt ? spec.exempt?.lendablePercent : spec.limited?.lendablePercent) ?? 0;
  const borrowing = spec.limited?.borrowingLimitPercent;
  const response = spec.limited?.limitResponse;
  const queuing = response?.type === 'Queue' ? response.queuing : undefined;
  return {
    name: metadata.name,
    uid: metadata.uid,
    exempt,
    seats,
    lendable: Math.round((seats * lendablePercent) / 100),
    borrowable: borrowing === undefined ? Infinity : Math.round((seats * borrowing) / 100),
    queues: queuing?.queues ?? 0,
    handSize: queuing?.handSize ?? 0,
    queueLength: queuing?.queueLengthLimit ?? 0,
  };
}
