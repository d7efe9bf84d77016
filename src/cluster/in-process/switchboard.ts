/**
 * How everything in the process reaches the API server: through lines that stay good when the server behind them is replaced (restarted, or restored
 * from a snapshot). Each process has a line of its own, so that it can be cut off alone.
 */
import type { ApiServer, InProcessConnection } from '../../apiserver/api-server.ts';
import type { User } from '../../apiserver/request.ts';
import { ConnectionError } from '../../client/connection-error.ts';
import type { ApiRequest, Transport, WatchEvent } from '../../client/transport.ts';

const address = 'in-process';

export class Switchboard {
  #server: ApiServer | undefined;
  #generation = 0;

  /** From now on calls go to this server; undefined while there is none, and calls fail as if nobody listened. */
  plug(server: ApiServer | undefined): void {
    this.#server = server;
    this.#generation++;
  }

  line(): Line {
    return new Line(() => (this.#server === undefined ? undefined : { server: this.#server, generation: this.#generation }));
  }
}

type Plugged = { readonly server: ApiServer; readonly generation: number } | undefined;

/** One process's way to the server. Cut, it stays so: what the process still tries fails, and it hears nothing more. */
export class Line {
  readonly #plugged: () => Plugged;
  readonly #cut = new AbortController();
  /** Partitioned: as if cut, but it may come back. */
  #down: AbortController | undefined;

  constructor(plugged: () => Plugged) {
    this.#plugged = plugged;
  }

  cut(): void {
    this.#cut.abort(refused('the process is gone'));
  }

  /** Takes the line down, or puts it up again. Watches over it end when it goes down. */
  setDown(down: boolean): void {
    if (!down) {
      this.#down = undefined;
      return;
    }
    const watches = this.#watches;
    this.#down ??= new AbortController();
    this.#watches = new AbortController();
    watches.abort(refused('no route to host'));
  }

  #watches = new AbortController();

  as(user: User): Transport {
    let connection: { readonly generation: number; readonly to: InProcessConnection } | undefined;
    const connected = (): InProcessConnection => {
      this.#cut.signal.throwIfAborted();
      if (this.#down !== undefined) throw refused('no route to host');
      const plugged = this.#plugged();
      if (plugged === undefined) throw refused('connection refused');
      if (connection?.generation !== plugged.generation) connection = { generation: plugged.generation, to: plugged.server.connect(user) };
      return connection.to;
    };
    return {
      shared: true,
      // The answer to a call that was under way when the line was cut is not heard.
      request: (request) => this.#answered(connected, request),
      watch: (request) => this.#watched(connected, request),
      close: () => connection?.to.close(),
    };
  }

  async #answered(connected: () => InProcessConnection, request: ApiRequest): Promise<unknown> {
    const answer = await connected().request(request);
    this.#cut.signal.throwIfAborted();
    if (this.#down !== undefined) throw refused('connection reset by peer');
    return answer;
  }

  /** A watch over a line that is cut or goes down ends, as one does whose connection broke between two events. */
  #watched(connected: () => InProcessConnection, request: ApiRequest): AsyncIterable<WatchEvent> {
    const ends = [this.#cut.signal, this.#watches.signal, ...(request.signal ? [request.signal] : [])];
    try {
      return connected().watch({ ...request, signal: AbortSignal.any(ends) });
    } catch (error) {
      return failed(error);
    }
  }
}

// oxlint-disable-next-line require-yield -- it never gets to an event
async function* failed(error: unknown): AsyncGenerator<never> {
  throw error;
}

function refused(message: string): ConnectionError {
  return new ConnectionError(address, Object.assign(new Error(message), { code: message === 'connection refused' ? 'ECONNREFUSED' : 'ECONNRESET' }));
}
