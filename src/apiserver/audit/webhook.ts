/**
 * Audit events sent to another server, many at a time: a batch goes when it is full or has waited long enough, one after the other, from a bounded buffer.
 * See https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend
 */
import type { Timer, World } from '../../world/world.ts';
import { WebhookConnection, WebhookError, type WebhookOptions } from '../webhook-connection.ts';
import type { AuditBackend } from './audit.ts';

export interface AuditWebhookOptions extends WebhookOptions {
  /** 400 events when absent. */
  readonly batchSize?: number;
  /** 30 seconds when absent. */
  readonly maxWaitMs?: number;
  /** Events waiting beyond which new ones are dropped, and counted; 10,000 when absent. */
  readonly bufferBound?: number;
  /** How long to wait before a batch is sent again; ten seconds when absent. */
  readonly initialBackoffMs?: number;
}

const timeoutMs = 30_000;
const attempts = 5;

export class AuditWebhook implements AuditBackend {
  private readonly world: World;
  private readonly webhook: WebhookConnection;
  private readonly batchSize: number;
  private readonly maxWaitMs: number;
  private readonly bufferBound: number;
  private readonly backoffMs: number;
  private waiting: string[] = [];
  private timer: Timer | undefined;
  private sending: Promise<void> | undefined;
  private dropped = 0;
  private readonly closing = new AbortController();

  constructor(world: World, options: AuditWebhookOptions) {
    this.world = world;
    this.webhook = new WebhookConnection(world, options);
    this.batchSize = options.batchSize ?? 400;
    this.maxWaitMs = options.maxWaitMs ?? 30_000;
    this.bufferBound = options.bufferBound ?? 10_000;
    this.backoffMs = options.initialBackoffMs ?? 10_000;
  }

  write(line: string): void {
    if (this.waiting.length >= this.bufferBound) {
      this.dropped++;
      return;
    }
    this.waiting.push(line);
    if (this.waiting.length >= this.batchSize) this.send();
    else this.timer ??= this.world.clock.after(this.maxWaitMs, () => this.send());
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.send();
    await this.sending;
    this.webhook.close();
  }

  private send(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.sending ??= this.drain().finally(() => {
      this.sending = undefined;
    });
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.batchSize);
      try {
        await this.sendBatch(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${batch.join(',')}]}`);
      } catch (error) {
        this.world.log.error('audit events could not be sent', { count: batch.length, error: String(error) });
      }
      if (this.dropped === 0) continue;
      this.world.log.error('audit events were dropped: they come faster than they can be sent', { count: this.dropped });
      this.dropped = 0;
    }
  }

  /** An event sent twice has the same id: sending again is safe, and worth it when there was no answer. */
  private async sendBatch(body: string): Promise<void> {
    for (let attempt = 1, pauseMs = this.backoffMs; ; attempt++, pauseMs *= 1.5) {
      try {
        await this.webhook.send(body, timeoutMs);
        return;
      } catch (error) {
        if (attempt >= attempts || this.closing.signal.aborted || !(error instanceof WebhookError) || !error.transient) throw error;
        await this.world.clock.sleep(pauseMs, this.closing.signal).catch(() => undefined);
      }
    }
  }
}

/** The same events to each. */
export function everyBackend(backends: readonly AuditBackend[]): AuditBackend {
  return {
    write(line) {
      for (const backend of backends) backend.write(line);
    },
    async close() {
      await Promise.all(backends.map((backend) => backend.close()));
    },
  };
}
