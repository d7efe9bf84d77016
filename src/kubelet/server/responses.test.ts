import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { HttpError, refuseUpgrade } from './responses.ts';

async function refused(code: number, message: string): Promise<{ head: string; body: string }> {
  const socket = new PassThrough();
  refuseUpgrade(socket, new HttpError(code, message));
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n', 2);
  assert.match(head, new RegExp(`\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`));
  return { head, body };
}

test('a refusal is plain text, as upstream has it', async () => {
  const { head, body } = await refused(404, 'container not found ("web")');
  assert.match(head, /^HTTP\/1\.1 404 Not Found\r\nContent-Type: text\/plain/);
  assert.equal(body, 'container not found ("web")\n');
});

for (const message of ['rpc error: code = Unknown desc = ttrpc: closed', 'none of the offered protocols is known:', 'first\nkey:\tvalue']) {
  test(`a refusal that a client would read as an empty Status is a Status: ${JSON.stringify(message)}`, async () => {
    const { head, body } = await refused(500, message);
    assert.match(head, /^HTTP\/1\.1 500 Internal Server Error\r\nContent-Type: application\/json\r\n/);
    assert.deepEqual(JSON.parse(body), {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason: 'InternalError',
      code: 500,
    });
  });
}

test('a colon within a word is no mapping', async () => {
  assert.match((await refused(403, 'Forbidden (user=system:anonymous)')).head, /text\/plain/);
});
