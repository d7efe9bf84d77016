/** The HTTP front: an exchange for every request. Nothing thrown in one ends the server. */
import type { HttpRequest, HttpResponse } from './connection.ts';
import { Exchange } from './exchange.ts';
import type { FrontOptions } from './front-options.ts';
import { WatchOutbox } from './watch-outbox.ts';

/** How much later than its deadline a request may be ended. */
const lookEveryMs = 500;

export class Front {
  private readonly options: FrontOptions;

  private readonly outbox: WatchOutbox;
  private readonly open = new Set<Exchange>();
  private isWatching = false;

  constructor(options: FrontOptions) {
    this.options = options;
    this.outbox = new WatchOutbox(options.world.clock);
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    const exchange = new Exchange(this.options, this.outbox, request, response);
    this.open.add(exchange);
    this.watchDeadlines();
    response.on('close', () => {
      this.open.delete(exchange);
      exchange.closed();
    });
    response.on('error', () => undefined);
    try {
      exchange.run();
    } catch (error) {
      exchange.fail(error);
    }
  }

  /** One timer for all requests: nearly all are answered long before they could be late. */
  private watchDeadlines(): void {
    if (this.isWatching) return;
    this.isWatching = true;
    const { clock } = this.options.world;
    clock.after(lookEveryMs, () => {
      this.isWatching = false;
      const nowMs = clock.now();
      for (const exchange of this.open) exchange.endIfLate(nowMs);
      if (this.open.size > 0) this.watchDeadlines();
    });
  }
}
