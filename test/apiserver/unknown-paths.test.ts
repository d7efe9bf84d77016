/**
 * The recorded requests of a real API server that its front answers, not its verbs (`src/apiserver/golden/`): paths nothing is served below. Recorded was
 * plain text for one and a list of paths for the other; here both get a Status, which clients read as the same error.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { answeredByFront } from '../../src/apiserver/golden/differences.ts';
import { startTestServer, type TestServer } from './server.ts';

interface Recorded {
  readonly case: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

const records: readonly Recorded[] = JSON.parse(readFileSync(new URL('../../src/apiserver/golden/requests.json', import.meta.url), 'utf8'));

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

test('both are recorded', () => {
  assert.equal(records.filter((record) => answeredByFront.has(record.case)).length, answeredByFront.size);
});

for (const { case: name, method, path, status } of records) {
  if (!answeredByFront.has(name)) continue;
  test(name, async () => {
    const { code, json } = await server.send(path, { method });
    assert.equal(code, status);
    assert.deepEqual(
      [json.kind, json.reason, json.code, json.message],
      ['Status', 'NotFound', status, 'the server could not find the requested resource'],
    );
    const anonymous = await server.send(path, { method, identity: undefined });
    assert.equal(anonymous.code, 403, 'who may not ask is not told what there is');
  });
}
