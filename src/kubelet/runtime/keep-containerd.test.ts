import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realWorld } from '../../world/real.ts';
import { keepContainerd } from './keep-containerd.ts';

test('whoever ends is started again, and again after a start that failed; an idle connection that is closed starts nothing', async () => {
  const world = realWorld({ level: 'silent' });
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-keep-'));
  const socket = join(directory, 'containerd.sock');
  const connections = new Set<Socket>();
  let server: Server | undefined;
  let starts = 0;
  let failures = 1;
  let connected = Promise.withResolvers<void>();
  const listen = async (): Promise<void> => {
    server = createServer((connection) => {
      connections.add(connection);
      connection.on('close', () => connections.delete(connection));
      connected.resolve();
    });
    server.listen(socket);
    await once(server, 'listening');
  };
  const end = async (): Promise<void> => {
    const ended = server;
    server = undefined;
    connected = Promise.withResolvers<void>();
    for (const connection of connections) connection.destroy();
    if (ended) await new Promise((resolve) => ended.close(resolve));
  };
  const start = async (): Promise<{ pid: number; reused: boolean }> => {
    if (server) return { pid: 1, reused: true };
    if (failures-- > 0) throw new Error('not yet');
    starts++;
    await listen();
    return { pid: 1, reused: false };
  };
  const enough = new AbortController();
  try {
    await listen();
    keepContainerd({ world, socket, start, signal: enough.signal });
    await connected.promise;
    for (const count of [1, 2]) {
      await end();
      await connected.promise;
      assert.equal(starts, count);
    }
    connected = Promise.withResolvers<void>();
    for (const connection of connections) connection.destroy();
    await connected.promise;
    assert.equal(starts, 2, 'it runs');
  } finally {
    enough.abort();
    await end();
    rmSync(directory, { recursive: true, force: true });
  }
});
