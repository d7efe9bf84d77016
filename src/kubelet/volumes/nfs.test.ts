import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nfsMount } from './nfs.ts';

test('an NFS volume is mounted from its server with what the volume says', () => {
  assert.deepEqual(nfsMount({ server: 'files.example.com', path: '/exports/a' }, []), {
    type: 'nfs',
    source: 'files.example.com:/exports/a',
    options: [],
  });
  assert.deepEqual(nfsMount({ server: '10.0.0.1', path: '/', readOnly: true }, ['nfsvers=4.1', 'hard', 'ro']), {
    type: 'nfs',
    source: '10.0.0.1:/',
    options: ['ro', 'nfsvers=4.1', 'hard'],
  });
});

test('an IPv6 address is told from the path', () => {
  assert.equal(nfsMount({ server: 'fd00::1', path: '/a' }, []).source, '[fd00::1]:/a');
  assert.equal(nfsMount({ server: '[fd00::1]', path: '/a' }, []).source, '[fd00::1]:/a');
});
