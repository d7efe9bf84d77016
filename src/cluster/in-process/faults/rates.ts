/** How much goes wrong. One line per kind of fault; `injector.ts` says what each does. */

export interface FaultRates {
  // Of requests, as shares of all:
  /** 429, not carried out. */
  readonly refused: number;
  /** 500, not carried out. */
  readonly failed: number;
  /** Updates and patches answered 409, not carried out. */
  readonly conflict: number;
  /** The connection breaks before the request arrives. */
  readonly unreachable: number;
  /** The request is carried out, and its answer lost. */
  readonly answerLost: number;
  /** The request takes up to {@link longestDelayMs}. */
  readonly slow: number;

  // Of watches, as shares of their events (expired: of watches begun):
  /** The connection breaks at this event. */
  readonly watchDropped: number;
  /** This event and those behind it come late. */
  readonly watchDelayed: number;
  /** 410: list again. */
  readonly watchExpired: number;

  /** Controllers, scheduler or a kubelet end between two writes: the share of writes, before or after which they do. */
  readonly crash: number;

  // Of the cluster, as mean times between two of them:
  /** A node's machine loses its power, or its network. */
  readonly nodeDownEveryMs: number;
  readonly storeRestartEveryMs: number;

  /** Clocks of nodes are wrong by up to so much. */
  readonly clockSkewMs: number;
  readonly longestDelayMs: number;
}

/** A bad day: each kind of fault happens often enough to meet every other in a few minutes. */
export const badDay: FaultRates = {
  refused: 0.01,
  failed: 0.01,
  conflict: 0.02,
  unreachable: 0.01,
  answerLost: 0.01,
  slow: 0.05,
  watchDropped: 0.01,
  watchDelayed: 0.05,
  watchExpired: 0.1,
  crash: 0.003,
  nodeDownEveryMs: 90_000,
  storeRestartEveryMs: 120_000,
  clockSkewMs: 5_000,
  longestDelayMs: 2_000,
};
