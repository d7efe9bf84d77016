/** A server that is asked over HTTPS with JSON: authentication and authorization webhooks, an issuer's discovery document. Bounded in time and size. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent } from 'node:https';
import { http, https } from '../world/http-modules.ts';
import type { World } from '../world/world.ts';

export interface WebhookOptions {
  /** The whole URL asked; `https:`, or `http:` on the loopback. */
  readonly server: string;
  /** PEM; the system's authorities when absent. */
  readonly ca?: string;
  /** Shown to it, PEM. */
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
  readonly serverName?: string;
}

const answerBoundBytes = 4 * 1024 * 1024;

/** It could not be asked, or did not answer with JSON. */
export class WebhookError extends Error {
  /** Whether asking again may help: no answer at all, or one that says so. */
  readonly transient: boolean;

  /** The HTTP code of its answer; 0 without one. */
  readonly code: number;

  constructor(message: string, transient: boolean, code = 0) {
    super(message);
    this.code = code;
    this.name = 'WebhookError';
    this.transient = transient;
  }
}

export class WebhookConnection {
  private readonly world: World;
  private readonly options: WebhookOptions;
  private readonly agent: Agent | HttpAgent;

  constructor(world: World, options: WebhookOptions) {
    this.world = world;
    this.options = options;
    const { ca, certificate, key, serverName } = options;
    this.agent = options.server.startsWith('http:')
      ? new (http().Agent)({ keepAlive: true })
      : new (https().Agent)({
          keepAlive: true,
          minVersion: 'TLSv1.2',
          ...(ca !== undefined && { ca }),
          ...(certificate !== undefined && { cert: certificate }),
          ...(key !== undefined && { key }),
          ...(serverName !== undefined && { servername: serverName }),
        });
  }

  /** The JSON answer to a POST of the body. Rejects with a {@link WebhookError}. */
  post(body: object, timeoutMs: number): Promise<unknown> {
    return this.exchange(this.options.server, JSON.stringify(body), timeoutMs);
  }

  /** The JSON found at a URL of the same server or trust. Rejects with a {@link WebhookError}. */
  get(url: string, timeoutMs: number): Promise<unknown> {
    return this.exchange(url, undefined, timeoutMs);
  }

  close(): void {
    this.agent.destroy();
  }

  /** As {@link post}, of JSON written already, and whatever is answered. */
  async send(json: string, timeoutMs: number): Promise<void> {
    await this.exchange(this.options.server, json, timeoutMs, () => undefined);
  }

  private exchange(url: string, body: string | undefined, timeoutMs: number, read: (text: string) => unknown = JSON.parse): Promise<unknown> {
    const { token } = this.options;
    const headers = {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    };
    return new Promise((resolve, reject) => {
      const { request: start } = url.startsWith('http:') ? http() : https();
      const request = start(url, { method: body === undefined ? 'GET' : 'POST', agent: this.agent, headers });
      const fail = (message: string, transient: boolean, code = 0): void => {
        timer.cancel();
        request.destroy();
        reject(new WebhookError(`${url}: ${message}`, transient, code));
      };
      const timer = this.world.clock.after(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`, true));
      request.on('error', (error) => fail(error.message, true));
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > answerBoundBytes) fail('the answer is too long', false);
          else chunks.push(chunk);
        });
        response.on('error', (error) => fail(error.message, true));
        response.on('end', () => {
          const code = response.statusCode ?? 0;
          if (code < 200 || code > 299) return fail(`answered ${code}`, code === 429 || code >= 500, code);
          try {
            resolve(read(Buffer.concat(chunks).toString('utf8')));
            timer.cancel();
          } catch {
            fail('the answer is not JSON', false);
          }
        });
      });
      request.end(body);
    });
  }
}
