import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { simulatedWorld } from '../../world/simulated.ts';
import { AuditLogFile } from './log-file.ts';

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'k8ts-audit-'));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

test('events are lines, in order, appended to what is there', async (context) => {
  const path = join(directory(context), 'audit.log');
  for (const round of ['a', 'b']) {
    const log = new AuditLogFile(simulatedWorld(1), { path });
    for (let i = 0; i < 3; i++) log.write(`${round}${i}`);
    await log.close();
  }
  assert.equal(readFileSync(path, 'utf8'), 'a0\na1\na2\nb0\nb1\nb2\n');
});

test('a full file is put aside, and only so many are kept', async (context) => {
  const folder = directory(context);
  const log = new AuditLogFile(simulatedWorld(1), { path: join(folder, 'audit.log'), maxSizeBytes: 20, maxBackups: 2 });
  for (let i = 0; i < 10; i++) log.write(`event-${i}-`);
  await log.close();
  const names = readdirSync(folder).toSorted();
  assert.equal(names.length, 3, names.join());
  assert.equal(readFileSync(join(folder, 'audit.log'), 'utf8'), 'event-8-\nevent-9-\n');
  for (const name of names) assert.ok(readFileSync(join(folder, name)).length <= 20);
});

test('beyond the bound events are dropped and counted, never waited for', async (context) => {
  const complaints: unknown[] = [];
  const world = simulatedWorld(1, { onLog: (_level, _component, _message, fields) => void complaints.push(fields?.['count']) });
  const path = join(directory(context), 'audit.log');
  const log = new AuditLogFile(world, { path, bufferBound: 5 });
  for (let i = 0; i < 8; i++) log.write(String(i));
  await log.close();
  assert.equal(readFileSync(path, 'utf8'), '0\n1\n2\n3\n4\n');
  assert.deepEqual(complaints, [3]);
});
