import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { type CgroupReader, cgroupReader } from './cgroup-counters.ts';

/** A tree of cgroup files. */
function tree(context: TestContext, files: Readonly<Record<string, string>>): CgroupReader {
  const root = mkdtempSync(join(tmpdir(), 'k8ts-cgroups-'));
  context.after(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return cgroupReader(root);
}

it('version 2 is read from one tree', (context) => {
  const reader = tree(context, {
    'cgroup.controllers': 'cpu memory pids\n',
    'kubepods/p/cpu.stat': 'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\nnr_throttled 2\nthrottled_usec 30\n',
    'kubepods/p/cpu.max': '20000 100000\n',
    'kubepods/p/cpu.weight': '39\n',
    'kubepods/p/memory.current': '1000\n',
    'kubepods/p/memory.max': '4096\n',
    'kubepods/p/memory.peak': '2000\n',
    'kubepods/p/memory.stat': 'anon 600\nfile 400\nfile_mapped 50\ninactive_file 300\npgfault 7\npgmajfault 1\n',
    'kubepods/p/memory.events': 'max 3\noom_kill 1\n',
    'kubepods/p/pids.current': '5\n',
    'kubepods/p/cgroup.procs': '42\n43\n',
  });
  assert.deepEqual(reader.counters('/kubepods/p'), {
    cpuNanoseconds: 1_500_000,
    memory: { usageBytes: 1000, workingSetBytes: 700, rssBytes: 600, pageFaults: 7, majorPageFaults: 1, limitBytes: 4096 },
  });
  const details = reader.details('/kubepods/p');
  assert.deepEqual(
    [details?.periods, details?.throttledNanoseconds, details?.cpuQuotaMicroseconds, details?.cpuShares, details?.oomKills, details?.processes],
    [4, 30_000, 20_000, 998, 1, 5],
  );
  assert.equal(reader.process('/kubepods/p'), 42);
  assert.equal(reader.counters('/kubepods/gone'), undefined);
});

it('version 1 is read from a tree for each controller', (context) => {
  const reader = tree(context, {
    'cpuacct/p/cpuacct.usage': '2500\n',
    'cpuacct/p/cpuacct.stat': 'user 3\nsystem 1\n',
    'cpu/p/cpu.stat': 'nr_periods 1\nnr_throttled 1\nthrottled_time 9\n',
    'cpu/p/cpu.cfs_quota_us': '-1\n',
    'cpu/p/cpu.shares': '51\n',
    'memory/p/memory.usage_in_bytes': '1000\n',
    'memory/p/memory.limit_in_bytes': '9223372036854771712\n',
    'memory/p/memory.stat': 'cache 1\ntotal_cache 400\ntotal_rss 600\ntotal_inactive_file 1200\ntotal_pgfault 7\ntotal_pgmajfault 1\n',
    'memory/p/cgroup.procs': '\n',
  });
  assert.deepEqual(reader.counters('/p'), {
    cpuNanoseconds: 2500,
    // Never below nothing, though the two figures are read one after the other.
    memory: { usageBytes: 1000, workingSetBytes: 0, rssBytes: 600, pageFaults: 7, majorPageFaults: 1, limitBytes: undefined },
  });
  const details = reader.details('/p');
  assert.deepEqual(
    [details?.userNanoseconds, details?.cpuQuotaMicroseconds, details?.cpuShares, details?.cacheBytes],
    [30_000_000, undefined, 51, 400],
  );
  assert.equal(reader.process('/p'), undefined);
});
