/**
 * A cluster that is told wrong things: how its API server is asked, and what every refusal has in common. When the tests of a file are over, the same process
 * must serve still, and nothing of it may have been a bug to it.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, startClusterUnderTest } from '../support/cluster-under-test.ts';

export interface Status {
  readonly kind?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly code?: number;
  readonly details?: { readonly causes?: readonly { readonly field?: string; readonly reason?: string }[] };
}

export interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Identity {
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
}

export interface Sent {
  readonly method?: string;
  readonly type?: string;
  readonly accept?: string;
  readonly body?: string | Buffer;
  readonly chunked?: boolean;
  /** The admin when absent. */
  readonly as?: Identity;
}

export interface Mistake extends Sent {
  readonly name: string;
  readonly path: string;
  readonly expect: readonly [code: number, reason: string, message: RegExp];
}

/** Of a file's tests; there from its `before` on. */
export interface AskedCluster {
  readonly cluster: ClusterUnderTest;
  readonly ca: string;
  readonly admin: Identity;
  send(path: string, sent?: Sent): Promise<Reply>;
  /** A test for each. */
  checkAll(mistakes: readonly Mistake[]): void;
}

export const configMaps = '/api/v1/namespaces/default/configmaps';
export const json = 'application/json';

/** For the whole file that calls it; `args` go to `k8ts up`. */
export function askedCluster(...args: string[]): AskedCluster {
  let cluster: ClusterUnderTest | undefined;
  let agent: Agent | undefined;
  let [ca, controlPlane] = ['', ''];
  let admin: Identity = {};

  const started = (): ClusterUnderTest => {
    assert(cluster, 'the cluster has started');
    return cluster;
  };
  const processFile = (): string => readFileSync(join(started().dataDir, 'run', 'control-plane.json'), 'utf8');

  before(async () => {
    cluster = await startClusterUnderTest(...args);
    const { dataDir } = cluster;
    const pki = (name: string): string => readFileSync(join(dataDir, 'pki', name), 'utf8');
    ca = pki('ca.crt');
    admin = { cert: pki('admin.crt'), key: pki('admin.key') };
    agent = new Agent({ keepAlive: true, ca, ...admin });
    controlPlane = processFile();
  });
  after(async () => {
    try {
      assert.equal((await send('/readyz')).code, 200);
      assert.equal(processFile(), controlPlane, 'the same process serves');
      const log = readFileSync(join(started().dataDir, 'logs', 'control-plane.log'), 'utf8');
      assert.doesNotMatch(log, /by a bug|unforeseen|uncaught|unhandled/i);
    } finally {
      agent?.destroy();
      await cluster?.close();
    }
  });

  function send(path: string, { method = 'GET', type, accept, body, chunked = false, as }: Sent = {}): Promise<Reply> {
    const headers = {
      ...(type !== undefined && { 'content-type': type }),
      ...(accept !== undefined && { accept }),
      ...(body !== undefined && !chunked && { 'content-length': String(Buffer.byteLength(body)) }),
      ...(as?.token !== undefined && { authorization: `Bearer ${as.token}` }),
    };
    const who = as === undefined ? { agent } : { agent: false as const, ca, ...(as.cert !== undefined && { cert: as.cert, key: as.key }) };
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: started().port, path, method, headers, ...who }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text }));
        answer.on('error', reject);
      });
      call.on('error', reject);
      call.end(body);
    });
  }

  /** No inside shows: neither a stack nor a source file. */

  return {
    get cluster() {
      return started();
    },
    get ca() {
      return ca;
    },
    get admin() {
      return admin;
    },
    send,
    checkAll(mistakes) {
      for (const { name, path, expect, ...sent } of mistakes) {
        test(name, async () => {
          assertStatus(await send(path, sent), ...expect);
        });
      }
    },
  };
}

export const post = (body: string | Buffer, type = json): Sent => ({ method: 'POST', type, body });
export const patch = (kind: string, body: string): Sent => ({ method: 'PATCH', type: `application/${kind}`, body });
export const configMap = (name: string, more: object = {}): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...more });

/** No inside shows: neither a stack nor a source file. */
export function assertPlain(text: string): void {
  assert.doesNotMatch(text, /\n\s+at \S|\.ts:\d|\.js:\d|node:internal|Maximum call stack|\[object Object\]|undefined/, text);
}

export function assertStatus(reply: Reply, code: number, reason: string, message: RegExp): Status {
  const status = JSON.parse(reply.text) as Status;
  assertPlain(status.message ?? '');
  assert.match(status.message ?? '', message);
  assert.deepEqual(
    { http: reply.code, code: status.code, kind: status.kind, status: status.status, reason: status.reason },
    { http: code, code, kind: 'Status', status: 'Failure', reason },
  );
  return status;
}
