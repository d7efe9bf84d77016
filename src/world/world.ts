/**
 * Everything a component may not reach for by itself: time, chance and the log. A `World` is passed in, so that a whole cluster can run on a
 * virtual clock and replay from one seed. Only this folder touches `Date.now`, timers, `Math.random` and `randomUUID`.
 */

/** A running timer; cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls once, after `ms`. A pending timer does not keep the process alive. */
  after(ms: number, callback: () => void): Timer;
  /** Calls every `ms`, the first time after `ms`. */
  every(ms: number, callback: () => void): Timer;
}

export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, bound). */
  int(bound: number): number;
  /** An RFC 4122 version 4 UUID, as `metadata.uid` holds it. */
  uid(): string;
  /** `length` characters of the alphabet generated names use: no vowels, nothing that reads alike. */
  name(length: number): string;
  /** `length` random bytes; cryptographically strong in the real world. */
  bytes(length: number): Buffer;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines carry the component's name. */
  child(component: string): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Takes a log line apart; `component` is the path of the log's names: `informer`, `kubelet/volumes`. */
export type OnLog = (level: LogLevel, component: string, message: string, fields: LogFields) => void;

export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** RFC 3339 with whole seconds, the form of `creationTimestamp` and most times on the wire. */
export function timestamp(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  // Asked for many times a second, and mostly for the same one.
  if (second !== lastSecond) {
    lastSecond = second;
    lastTimestamp = `${new Date(epochMs).toISOString().slice(0, 19)}Z`;
  }
  return lastTimestamp;
}

let lastSecond = Number.NaN;
let lastTimestamp = '';

/** RFC 3339 with microseconds, the form of `MicroTime` fields such as a Lease's `renewTime`. */
export function microTimestamp(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, 23)}000Z`;
}

/** The alphabet of generated names, as upstream's `rand.String` uses it. */
export const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
