/** The HTTP front: an exchange for every request. Nothing thrown in one ends the server. */
import type { HttpRequest, HttpResponse } from './connection.ts';
import { Exchange } from './exchange.ts';
import type { FrontOptions } from './front-options.ts';

export class Front {
  private readonly options: FrontOptions;

  constructor(options: FrontOptions) {
    this.options = options;
  }

  handle(request: HttpRequest, response: HttpResponse): void {
    const exchange = new Exchange(this.options, request, response);
    this.options.metrics.inflight++;
    response.on('close', () => exchange.closed());
    response.on('error', () => undefined);
    try {
      exchange.run();
    } catch (error) {
      exchange.fail(error);
    }
  }
}
