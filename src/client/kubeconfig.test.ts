import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { connectionOf, KubeconfigError, mergeContext, readKubeconfig, removeContextOf, renderKubeconfig, userKubeconfigPath } from './kubeconfig.ts';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'k8ts-kubeconfig-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const ours = { name: 'k8ts', server: 'https://127.0.0.1:6443', ca: 'CA', certificate: 'CERT', key: 'KEY' };

const theirs = `# My clusters
apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://work.example # the one at work
    certificate-authority: ca.pem
  name: work
contexts:
- context: {cluster: work, user: jane, namespace: shop}
  name: work
current-context: work
preferences: {}
users:
- name: jane
  user:
    token: secret
`;

describe('which file', () => {
  it('is the one kubectl would use', (t) => {
    const home = directory(t);
    const [first, second] = [join(home, 'first'), join(home, 'second')];
    assert.equal(userKubeconfigPath({ HOME: home }), join(home, '.kube', 'config'));
    assert.equal(userKubeconfigPath({ HOME: home, KUBECONFIG: '' }), join(home, '.kube', 'config'));
    const environment = { HOME: home, KUBECONFIG: ['', first, second].join(delimiter) };
    assert.equal(userKubeconfigPath(environment), second);
    writeFileSync(first, '');
    assert.equal(userKubeconfigPath(environment), first);
  });
});

describe('merging a context', () => {
  it('makes a file for its owner only', (t) => {
    const path = join(directory(t), '.kube', 'config');
    mergeContext(path, ours);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(connectionOf(path), { server: ours.server, ca: 'CA', certificate: 'CERT', key: 'KEY' });
    assert.equal(readFileSync(path, 'utf8'), renderKubeconfig(ours));
  });

  it('leaves all else as it was: entries, comments, style', (t) => {
    const path = join(directory(t), 'config');
    writeFileSync(path, theirs, { mode: 0o644 });
    mergeContext(path, ours);
    const text = readFileSync(path, 'utf8');
    for (const line of theirs.split('\n')) if (!line.startsWith('current-context')) assert.ok(text.includes(line), `${line} is gone from\n${text}`);
    assert.equal(readKubeconfig(path)?.currentContext, 'k8ts');
    assert.equal(connectionOf(path, 'k8ts').server, ours.server);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, '..')), ['config']);
  });

  it('replaces its own entry and can leave the current context alone', (t) => {
    const path = join(directory(t), 'config');
    writeFileSync(path, theirs);
    mergeContext(path, ours, { makeCurrent: false });
    mergeContext(path, { name: 'k8ts', server: 'https://127.0.0.1:7443', token: 'T', namespace: 'n' }, { makeCurrent: false });
    const config = readKubeconfig(path);
    assert.deepEqual(
      config?.clusters.map(({ name, server }) => [name, server]),
      [
        ['work', 'https://work.example'],
        ['k8ts', 'https://127.0.0.1:7443'],
      ],
    );
    assert.equal(config?.contexts.length, 2);
    assert.equal(config?.contexts[1]?.namespace, 'n');
    assert.equal(config?.currentContext, 'work');
    assert.deepEqual(connectionOf(path, 'k8ts'), { server: 'https://127.0.0.1:7443', token: 'T' });
  });

  it('takes files that are empty, or have null where lists belong', (t) => {
    const path = join(directory(t), 'config');
    for (const text of ['', '\n', 'apiVersion: v1\nkind: Config\nclusters: null\ncontexts: []\nusers:\n']) {
      writeFileSync(path, text);
      mergeContext(path, ours);
      assert.equal(connectionOf(path).server, ours.server);
    }
  });

  it('writes where a link leads', (t) => {
    const home = directory(t);
    mkdirSync(join(home, 'real'));
    writeFileSync(join(home, 'real', 'config'), theirs);
    symlinkSync(join(home, 'real', 'config'), join(home, 'link'));
    mergeContext(join(home, 'link'), ours);
    assert.equal(readKubeconfig(join(home, 'real', 'config'))?.currentContext, 'k8ts');
  });

  it('touches nothing it does not understand', (t) => {
    const path = join(directory(t), 'config');
    for (const text of ['a: [1', '- a\n- b\n', 'just words']) {
      writeFileSync(path, text);
      assert.throws(
        () => mergeContext(path, ours),
        (error) => error instanceof KubeconfigError && error.message.includes(path),
      );
      assert.equal(readFileSync(path, 'utf8'), text);
    }
  });
});

describe('removing a context', () => {
  it('takes away what merging added', (t) => {
    const path = join(directory(t), 'config');
    writeFileSync(path, theirs);
    mergeContext(path, ours);
    removeContextOf(path, 'k8ts');
    assert.equal(readFileSync(path, 'utf8'), theirs.replace('current-context: work', 'current-context: ""'));
    removeContextOf(path, 'k8ts');
    removeContextOf(join(path, '..', 'none'), 'k8ts');
  });

  it('leaves a file that reads well when nothing else was in it', (t) => {
    const path = join(directory(t), 'config');
    mergeContext(path, ours);
    removeContextOf(path, 'k8ts');
    assert.deepEqual(readKubeconfig(path), { clusters: [], contexts: [], currentContext: undefined });
    mergeContext(path, ours);
    assert.equal(readFileSync(path, 'utf8'), renderKubeconfig(ours));
  });
});

describe('connecting as a context says', () => {
  it('reads the files it names relative to itself', (t) => {
    const home = directory(t);
    const path = join(home, 'config');
    writeFileSync(path, theirs);
    assert.throws(() => connectionOf(path), /ca\.pem, which the kubeconfig .* names, cannot be read/);
    writeFileSync(join(home, 'ca.pem'), 'WORK CA');
    assert.deepEqual(connectionOf(path), { server: 'https://work.example', ca: 'WORK CA', token: 'secret' });
  });

  it('says what is missing', (t) => {
    const path = join(directory(t), 'config');
    assert.throws(() => connectionOf(path), /does not exist/);
    writeFileSync(path, theirs);
    assert.throws(() => connectionOf(path, 'home'), /context "home" does not exist in the kubeconfig/);
    writeFileSync(path, theirs.replace('cluster: work, user', 'cluster: gone, user'));
    assert.throws(() => connectionOf(path), /cluster "gone" does not exist/);
    writeFileSync(path, theirs.replace('current-context: work', ''));
    assert.throws(() => connectionOf(path), /no current context/);
    writeFileSync(path, theirs.replace('token: secret', 'exec: {command: aws}'));
    assert.throws(() => connectionOf(path), /credential plugin/);
  });
});
