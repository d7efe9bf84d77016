import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withNameServer, withoutNameServer } from './host-dns.ts';

const line = fc.constantFrom('nameserver 192.0.2.1', 'search example.com', '# a comment', '# k8ts fffff: begin', '', 'options ndots:2');
const file = fc.array(line, { maxLength: 6 }).map((lines) => lines.map((text) => `${text}\n`).join(''));

test('what was added is taken away, and nothing else', () => {
  fc.assert(
    fc.property(file, (text) => {
      const added = withNameServer(text, 'abcdef', '10.96.0.10');
      assert.match(added, /^# k8ts abcdef: begin\nnameserver 10\.96\.0\.10\n/);
      assert.equal(withoutNameServer(added, 'abcdef'), text);
      assert.equal(withoutNameServer(added, '012345'), added);
      assert.equal(withNameServer(added, 'abcdef', '10.96.0.10'), added);
    }),
  );
});

test('two clusters do not get in each other’s way, and a forwarder sees neither', () => {
  const both = withNameServer(withNameServer('nameserver 192.0.2.1\n', 'aaaaaa', '10.96.0.10'), 'bbbbbb', '10.97.0.10');
  assert.equal(withoutNameServer(both, 'aaaaaa'), withNameServer('nameserver 192.0.2.1\n', 'bbbbbb', '10.97.0.10'));
  assert.equal(withoutNameServer(both), 'nameserver 192.0.2.1\n');
});
