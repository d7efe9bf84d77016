/**
 * Keeps one certificate good: asks for the next one while the present one still lasts, and tells who uses it. Upstream's certificate manager
 * (`client-go/util/certificate`): renewed when between 70 % and 90 % of its life are over, so that a thousand nodes do not ask at once.
 */
import { X509Certificate } from 'node:crypto';
import type { Log, World } from '../world/world.ts';
import type { CertificatePair } from './certificates.ts';

export interface CertificateKeeperOptions {
  readonly world: World;
  readonly log: Log;
  /** What it is for, in the log. */
  readonly name: string;
  /** The present one, as it was kept; the first is asked for when there is none or its time is over. */
  readonly kept: CertificatePair | undefined;
  /** Asks for a new one. A rejection is tried again, later and later. */
  readonly obtain: (signal: AbortSignal) => Promise<CertificatePair>;
  /** Keeps a new one for the next start. */
  readonly keep: (pair: CertificatePair) => void;
}

export interface CertificateKeeper {
  /** Resolves with the first good one. Rejects only when the keeper is closed before. */
  readonly first: Promise<CertificatePair>;
  current(): CertificatePair | undefined;
  /** Hears of every later one. */
  onChange(listener: (pair: CertificatePair) => void): void;
  close(): void;
}

const dayMs = 24 * 60 * 60_000;
const firstPauseMs = 1_000;
const longestPauseMs = 5 * 60_000;

export function keepCertificate(options: CertificateKeeperOptions): CertificateKeeper {
  const { world, log, name } = options;
  const listeners = new Set<(pair: CertificatePair) => void>();
  const closed = new AbortController();
  const first = Promise.withResolvers<CertificatePair>();
  // Who only follows changes need not look at it.
  first.promise.catch(() => undefined);
  let current = options.kept !== undefined && endMs(options.kept) > world.clock.now() ? options.kept : undefined;
  if (current) first.resolve(current);

  async function keepOn(): Promise<void> {
    for (;;) {
      if (current) await until(renewalMs(current, world.random.next()));
      const next = await nextOne();
      keep(next);
      const isFirst = current === undefined;
      current = next;
      log.info('certificate issued', { certificate: name, until: new Date(endMs(next)).toISOString() });
      if (isFirst) first.resolve(next);
      else for (const listener of listeners) listener(next);
    }
  }

  /** On a full disk it serves until the next start all the same. */
  function keep(pair: CertificatePair): void {
    try {
      options.keep(pair);
    } catch (error) {
      log.error('the certificate could not be written', { certificate: name, error: error instanceof Error ? error.message : String(error) });
    }
  }

  async function nextOne(): Promise<CertificatePair> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        return await options.obtain(closed.signal);
      } catch (error) {
        closed.signal.throwIfAborted();
        log.warn('no certificate yet; trying again', { certificate: name, error: error instanceof Error ? error.message : String(error) });
        await world.clock.sleep(pauseMs, closed.signal);
      }
    }
  }

  /** A day at a time: timers of a month and more overflow, and a machine that slept is late by no more than that. */
  async function until(atMs: number): Promise<void> {
    for (let leftMs = atMs - world.clock.now(); leftMs > 0; leftMs = atMs - world.clock.now()) {
      await world.clock.sleep(Math.min(leftMs, dayMs), closed.signal);
    }
  }

  // Not before its maker has it in hand: asking for the next one may look at the present one.
  Promise.resolve()
    .then(keepOn)
    .catch((error: unknown) => {
      first.reject(error);
      if (!closed.signal.aborted) log.error('the certificate is no longer looked after', { certificate: name, error: String(error) });
    });

  return {
    first: first.promise,
    current: () => current,
    onChange(listener) {
      listeners.add(listener);
    },
    close: () => closed.abort(new Error(`the certificate ${name} is no longer looked after`)),
  };
}

/** When to ask for the next one; `chance` is in [0, 1). */
export function renewalMs({ certificate }: CertificatePair, chance: number): number {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  const life = validToDate.getTime() - validFromDate.getTime();
  return validFromDate.getTime() + life * (0.7 + 0.2 * chance);
}

export function endMs({ certificate }: CertificatePair): number {
  return new X509Certificate(certificate).validToDate.getTime();
}
