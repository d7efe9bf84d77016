/** A transport on which requests and watches go wrong, as the rates say: the network and the server on a bad day. */
import { ConnectionError } from '../../../client/connection-error.ts';
import type { ApiRequest, Transport, WatchEvent } from '../../../client/transport.ts';
import { ApiError } from '../../../machinery/errors.ts';
import type { World } from '../../../world/world.ts';
import type { FaultRates } from './rates.ts';

export interface FaultyTransportOptions {
  readonly world: World;
  /** Undefined while all is well. */
  readonly rates: () => FaultRates | undefined;
  /** The process behind this transport ends here and now. */
  readonly crash: () => void;
}

export function faultyTransport(transport: Transport, { world, rates, crash }: FaultyTransportOptions): Transport {
  const { clock, random } = world;
  const happens = (rate: number): boolean => random.next() < rate;

  async function request(call: ApiRequest): Promise<unknown> {
    const now = rates();
    if (now === undefined) return transport.request(call);
    const writes = call.method !== 'GET';
    if (writes && happens(now.crash)) return crashAround(call);
    if (happens(now.slow)) await clock.sleep(random.int(now.longestDelayMs), call.signal);
    if (happens(now.unreachable)) throw broken();
    if (happens(now.refused)) throw new ApiError('TooManyRequests', 'the server is overloaded (a fault)', { retryAfterSeconds: 1 });
    if (happens(now.failed)) throw new ApiError('InternalError', 'something went wrong (a fault)');
    // Only what changes an object can find it changed: a creation or a deletion meets a conflict for reasons of its own.
    if ((call.method === 'PUT' || call.method === 'PATCH') && happens(now.conflict)) {
      throw new ApiError('Conflict', 'the object has been modified; please apply your changes to the latest version and try again (a fault)');
    }
    const answer = await transport.request(call);
    if (happens(now.answerLost)) throw broken();
    return answer;
  }

  async function crashAround(call: ApiRequest): Promise<unknown> {
    if (happens(0.5)) await transport.request(call);
    crash();
    throw broken();
  }

  async function* watch(call: ApiRequest): AsyncGenerator<WatchEvent> {
    const atStart = rates();
    if (atStart && happens(atStart.watchExpired)) throw new ApiError('Expired', 'too old resource version (a fault)');
    for await (const event of transport.watch(call)) {
      const now = rates();
      if (now) {
        if (happens(now.watchDropped)) throw broken();
        if (happens(now.watchDelayed)) await clock.sleep(random.int(now.longestDelayMs), call.signal);
      }
      yield event;
    }
  }

  return { shared: transport.shared, request, watch, close: () => transport.close() };
}

function broken(): ConnectionError {
  return new ConnectionError('in-process', Object.assign(new Error('read ECONNRESET (a fault)'), { code: 'ECONNRESET' }));
}
