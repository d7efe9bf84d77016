/**
 * Records Events about objects, as client-go's EventRecorder does: recording never fails and never waits; the same event again raises the count of the
 * first; many alike are folded into one; and one object cannot flood the server.
 */
import { Event } from '../api/node-kinds.ts';
import { isReason } from '../machinery/errors.ts';
import type { KubeObject } from '../machinery/object.ts';
import { timestamp, type World } from '../world/world.ts';
import type { Client } from './client.ts';

export interface EventSource {
  readonly component: string;
  /** The node's name, for what runs on nodes. */
  readonly host?: string;
}

/** What an event is about: an object, or a part of it (`fieldPath: 'spec.containers{web}'`). */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string; readonly resourceVersion?: string };
}

export interface EventRecorder {
  event(object: EventSubject | KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void;
  /** Resolves when what was recorded so far has been sent or given up. */
  flushed(): Promise<void>;
  /** Drops what was not sent yet. */
  close(): void;
}

/** One Event object on the server, or to be. */
interface Recorded {
  readonly name: string;
  readonly namespace: string;
  readonly subject: EventSubject;
  readonly fieldPath: string | undefined;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly firstTimestamp: string;
  message: string;
  lastTimestamp: string;
  count: number;
  created: boolean;
  waiting: boolean;
}

/** How often one kind of event happened to one object lately, whatever its words. */
interface Alike {
  sinceMs: number;
  readonly messages: Set<string>;
}

interface Budget {
  tokens: number;
  atMs: number;
}

// client-go's correlator: past 10 different messages in 10 minutes they are folded into one; 25 events per object at once, then one every 5 minutes.
const foldAfter = 10;
const foldWindowMs = 600_000;
const burst = 25;
const refillMs = 300_000;
const maxRemembered = 4_096;
const maxWaiting = 1_000;
const maxMessageBytes = 1_024;
const attempts = 5;
const firstRetryMs = 500;

export function createEventRecorder(client: Client, world: World, source: EventSource): EventRecorder {
  return new Recorder(client, world, source);
}

/** Records only what is not as it should be. */
export function warningsOnly(recorder: EventRecorder): EventRecorder {
  return {
    event(object, type, reason, message, fieldPath) {
      if (type === 'Warning') recorder.event(object, type, reason, message, fieldPath);
    },
    flushed: () => recorder.flushed(),
    close: () => recorder.close(),
  };
}

class Recorder implements EventRecorder {
  readonly #client: Client;
  readonly #world: World;
  readonly #source: EventSource;
  readonly #abort = new AbortController();
  readonly #recorded = new Map<string, Recorded>();
  readonly #alike = new Map<string, Alike>();
  readonly #budgets = new Map<string, Budget>();
  readonly #waiting: Recorded[] = [];
  #sending: Promise<void> | undefined;

  constructor(client: Client, world: World, source: EventSource) {
    this.#client = client;
    this.#world = world;
    this.#source = source;
  }

  event(subject: EventSubject | KubeObject, type: 'Normal' | 'Warning', reason: string, message: string, fieldPath?: string): void {
    if (this.#abort.signal.aborted) return;
    const { kind, metadata } = subject;
    const about = JSON.stringify([kind, metadata.namespace, metadata.name, metadata.uid]);
    if (!this.#mayRecord(about)) return;
    const group = JSON.stringify([about, fieldPath, type, reason]);
    const folded = this.#isFolded(group, message);
    const id = folded ? group : JSON.stringify([group, message]);
    const shown = cutTo(folded ? `(combined from similar events): ${message}` : message, maxMessageBytes);
    const now = timestamp(this.#world.clock.now());

    let recorded = this.#recorded.get(id);
    if (recorded) {
      recorded.count++;
      recorded.lastTimestamp = now;
      recorded.message = shown;
    } else {
      recorded = {
        name: this.#name(metadata.name),
        namespace: metadata.namespace ?? 'default',
        subject: whatIsNamed(subject),
        fieldPath,
        type,
        reason,
        firstTimestamp: now,
        message: shown,
        lastTimestamp: now,
        count: 1,
        created: false,
        waiting: false,
      };
    }
    remember(this.#recorded, id, recorded);
    // An event that still waits to be sent goes out once, with the count it has by then.
    if (recorded.waiting || this.#waiting.length >= maxWaiting) return;
    recorded.waiting = true;
    this.#waiting.push(recorded);
    this.#sending ??= this.#sendAll();
  }

  async flushed(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  close(): void {
    this.#abort.abort(new Error('the event recorder was closed'));
    this.#waiting.length = 0;
  }

  // ---- deciding

  /** A token bucket per object. */
  #mayRecord(about: string): boolean {
    const nowMs = this.#world.clock.now();
    const budget = this.#budgets.get(about) ?? { tokens: burst, atMs: nowMs };
    budget.tokens = Math.min(burst, budget.tokens + (nowMs - budget.atMs) / refillMs);
    budget.atMs = nowMs;
    remember(this.#budgets, about, budget);
    if (budget.tokens < 1) return false;
    budget.tokens--;
    return true;
  }

  #isFolded(group: string, message: string): boolean {
    const nowMs = this.#world.clock.now();
    let alike = this.#alike.get(group);
    if (alike === undefined || nowMs - alike.sinceMs > foldWindowMs) alike = { sinceMs: nowMs, messages: new Set() };
    alike.sinceMs = nowMs;
    if (alike.messages.size < foldAfter) alike.messages.add(message);
    remember(this.#alike, group, alike);
    return alike.messages.size >= foldAfter && !alike.messages.has(message);
  }

  /** `<object>.<nanoseconds in hex>`, as upstream names them, within the length of a name. */
  #name(object: string): string {
    const nanoseconds = BigInt(this.#world.clock.now()) * 1_000_000n + BigInt(this.#world.random.int(1_000_000));
    const suffix = `.${nanoseconds.toString(16)}`;
    return object.slice(0, 253 - suffix.length) + suffix;
  }

  // ---- sending

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      next.waiting = false;
      await this.#send(next);
    }
    this.#sending = undefined;
  }

  /** Gives up after some tries, and at once on what will not get better: the namespace is going away, the event is not allowed. */
  async #send(recorded: Recorded): Promise<void> {
    const { signal } = this.#abort;
    let pauseMs = firstRetryMs;
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await this.#write(recorded, signal);
        return;
      } catch (error) {
        const hopeless = isReason(error, 'Forbidden', 'NotFound', 'Invalid', 'BadRequest', 'Unauthorized', 'AlreadyExists');
        if (signal.aborted || hopeless || attempt >= attempts) {
          if (!signal.aborted) this.#world.log.debug('an event could not be recorded', { reason: recorded.reason, error: String(error) });
          return;
        }
      }
      try {
        await this.#world.clock.sleep(pauseMs, signal);
      } catch {
        return;
      }
      pauseMs *= 2;
    }
  }

  async #write(recorded: Recorded, signal: AbortSignal): Promise<void> {
    const events = this.#client.resource(Event).namespace(recorded.namespace);
    const { count, lastTimestamp, message } = recorded;
    if (recorded.created) {
      try {
        await events.patch(recorded.name, { count, lastTimestamp, message }, { signal });
        return;
      } catch (error) {
        // It expired meanwhile; the next lines make it anew.
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    const { component, host } = this.#source;
    const { apiVersion, kind, metadata } = recorded.subject;
    const { namespace, name, uid, resourceVersion } = metadata;
    await events.create(
      {
        metadata: { name: recorded.name, namespace: recorded.namespace },
        involvedObject: {
          kind,
          ...(namespace !== undefined && { namespace }),
          name,
          ...(uid !== undefined && { uid }),
          apiVersion,
          ...(resourceVersion !== undefined && { resourceVersion }),
          ...(recorded.fieldPath !== undefined && { fieldPath: recorded.fieldPath }),
        },
        reason: recorded.reason,
        message,
        source: { component, ...(host !== undefined && { host }) },
        firstTimestamp: recorded.firstTimestamp,
        lastTimestamp,
        count,
        type: recorded.type,
        reportingComponent: component,
        reportingInstance: host ?? '',
      },
      { signal },
    );
    recorded.created = true;
  }
}

/** An object's name and no more: thousands of events are remembered for a while, and must not keep as many objects. */
function whatIsNamed({ apiVersion, kind, metadata }: EventSubject | KubeObject): EventSubject {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }), ...(resourceVersion && { resourceVersion }) },
  };
}

/** Puts an entry last and lets the oldest go when there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxRemembered) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

function cutTo(text: string, bytes: number): string {
  if (text.length * 3 <= bytes || Buffer.byteLength(text) <= bytes) return text;
  return new TextDecoder().decode(Buffer.from(text).subarray(0, bytes)).replace(/\uFFFD$/, '');
}
