/** Custom resources as stock kubectl and helm use them, with definitions of well-known operators (`test/custom-resources/`, after their public schemas). */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';

const operators = join(import.meta.dirname, 'custom-resources');
const chart = join(import.meta.dirname, 'charts/crontabs');
let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest('--runtime', 'simulated');
  await cluster.kubectl(['apply', '-f', operators]);
  await cluster.kubectl('wait --for=condition=Established crd --all --timeout=10s');
});
after(() => cluster.close());

/** `kubectl apply` of an object of the default namespace. */
const apply = (object: object): Promise<string> => cluster.kubectl('apply -f -', { input: JSON.stringify(object) });

const certificate = (name: string, spec: object = {}) => ({
  apiVersion: 'cert-manager.io/v1',
  kind: 'Certificate',
  metadata: { name },
  spec: { secretName: `${name}-tls`, issuerRef: { name: 'ca' }, ...spec },
});

const application = {
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'Application',
  metadata: { name: 'guestbook' },
  spec: {
    project: 'default',
    destination: { server: 'https://kubernetes.default.svc', namespace: 'guestbook' },
    source: { repoURL: 'https://example.com/apps', path: 'guestbook', helm: { valuesObject: { any: { thing: [1, 'two'] } } } },
  },
};

const monitor = (spec: object) => ({
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'ServiceMonitor',
  metadata: { name: 'web' },
  spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
});

describe('kinds of operators', () => {
  test('are discovered, with short names and categories', async () => {
    const resources = await cluster.kubectl('api-resources --no-headers');
    assert.match(resources, /^certificates +cert,certs +cert-manager\.io\/v1 +true +Certificate$/m);
    assert.match(resources, /^servicemonitors +smon +monitoring\.coreos\.com\/v1 +true +ServiceMonitor$/m);
    assert.match(await cluster.kubectl('api-versions'), /^argoproj\.io\/v1alpha1$/m);
  });

  test('are explained', async () => {
    assert.match(
      await cluster.kubectl('explain certificate.spec.secretName'),
      /FIELD: secretName <string>[^]*The Secret the certificate is stored in\./,
    );
    assert.match(await cluster.kubectl('explain smon.spec.endpoints'), /relabelings\t<\[\]Object>/);
    assert.match(await cluster.kubectl('explain crd.spec.versions --recursive'), /additionalPrinterColumns/);
  });

  test('are printed by their own columns', async () => {
    await apply(certificate('web', { dnsNames: ['web.example.com'] }));
    const ready = { status: { conditions: [{ type: 'Ready', status: 'True', message: 'Certificate is up to date' }] } };
    await cluster.kubectl(['patch', 'cert', 'web', '--subresource=status', '--type=merge', '-p', JSON.stringify(ready)]);
    assert.match(await cluster.kubectl('get cert web'), /^NAME +READY +SECRET +AGE\nweb +True +web-tls +\d+s\n$/);
    assert.match(
      await cluster.kubectl('get certs -o wide'),
      /^NAME +READY +SECRET +ISSUER +STATUS +AGE\nweb +True +web-tls +ca +Certificate is up to date/,
    );
    assert.match(await cluster.kubectl('get cert-manager -o name'), /certificate\.cert-manager\.io\/web/);
    await cluster.kubectl('wait --for=condition=Ready certificate/web --timeout=5s');
    assert.match(await cluster.kubectl('describe cert web'), /Dns Names:\n\s+web\.example\.com/);
  });

  test('keep what is free to be anything', async () => {
    await apply(application);
    assert.equal(await cluster.kubectl('get app guestbook -o jsonpath={.spec.source.helm.valuesObject}'), '{"any":{"thing":[1,"two"]}}');
    await cluster.kubectl(['patch', 'app', 'guestbook', '--type=json', '-p', '[{"op":"replace","path":"/spec/project","value":"other"}]']);
    assert.equal(await cluster.kubectl('get app guestbook -o jsonpath={.metadata.generation}'), '2');
  });

  test('get defaults, and refuse what does not fit', async () => {
    await apply(monitor({ endpoints: [{ port: 'web', interval: '30s', targetPort: 8080, relabelings: [{ targetLabel: 'x' }] }] }));
    assert.equal(await cluster.kubectl('get smon web -o jsonpath={.spec.endpoints[0].relabelings[0].action}'), 'replace');
    const refused = await cluster.tryKubectl('apply --validate=false -f -', {
      input: JSON.stringify(monitor({ endpoints: [{ interval: 'often', targetPort: true, scheme: 'ftp' }], sampleLimit: -1 })),
    });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /The ServiceMonitor "web" is invalid:/);
    assert.match(refused.stderr, /spec\.endpoints\[0\]\.interval: Invalid value: "often": spec\.endpoints\[0\]\.interval in body should match/);
    assert.match(refused.stderr, /spec\.endpoints\[0\]\.scheme: Unsupported value: "ftp": supported values: "http", "https"/);
    assert.match(refused.stderr, /spec\.endpoints\[0\]\.targetPort: Invalid value: "boolean": .* must be of type integer,string: "boolean"/);
    assert.match(refused.stderr, /spec\.sampleLimit: Invalid value: -1: spec\.sampleLimit in body should be greater than or equal to 0/);
    const unknown = await cluster.tryKubectl('apply -f -', { input: JSON.stringify(certificate('odd', { secretNam: 'x' })) });
    assert.match(unknown.stderr, /strict decoding error: unknown field "spec\.secretNam"/);
  });

  test('are applied on the server', async () => {
    const input = JSON.stringify(certificate('ssa', { dnsNames: ['a'] }));
    await cluster.kubectl('apply --server-side --field-manager=one -f -', { input });
    const clash = await cluster.tryKubectl('apply --server-side --field-manager=two -f -', {
      input: JSON.stringify(certificate('ssa', { dnsNames: ['b'] })),
    });
    assert.match(clash.stderr, /conflict with "one": \.spec\.dnsNames/);
    assert.match(await cluster.kubectl('diff --server-side --field-manager=one -f -', { input }), /^$/);
  });

  test('are collected with their owners, and with their namespace', async () => {
    await apply(certificate('owner'));
    const uid = await cluster.kubectl('get cert owner -o jsonpath={.metadata.uid}');
    const ownerReferences = [{ apiVersion: 'cert-manager.io/v1', kind: 'Certificate', name: 'owner', uid }];
    await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'owned', ownerReferences } });
    await apply({ ...certificate('owned'), metadata: { name: 'owned', ownerReferences } });
    await cluster.kubectl('delete cert owner');
    await eventually('what the certificate owned is gone', async () => {
      const left = await cluster.kubectl('get secret/owned certificate/owned --ignore-not-found -o name');
      return left === '' ? true : undefined;
    });
    await cluster.kubectl('create namespace short');
    await cluster.kubectl('apply -n short -f -', { input: JSON.stringify(certificate('web')) });
    await cluster.kubectl('delete namespace short --timeout=20s');
    assert.equal((await cluster.tryKubectl('get cert web -n short')).code, 1);
  });

  test('go with their definition', async () => {
    await apply({ apiVersion: 'cert-manager.io/v1', kind: 'Issuer', metadata: { name: 'ca' }, spec: { ca: { secretName: 'ca' } } });
    await cluster.kubectl('delete crd issuers.cert-manager.io --timeout=20s');
    const gone = await cluster.tryKubectl('get issuers');
    assert.match(gone.stderr, /doesn't have a resource type "issuers"|could not find the requested resource/);
    await cluster.kubectl(['apply', '-f', join(operators, 'certificates.yaml')]);
    await cluster.kubectl('wait --for=condition=Established crd issuers.cert-manager.io --timeout=10s');
    assert.equal(await cluster.kubectl('get issuers -o name'), '');
  });
});

test('a chart brings a definition and an object of it', async () => {
  await cluster.helm(['install', 'tabs', chart, '--wait', '--timeout', '30s'], { timeoutMs: 40_000 });
  assert.match(await cluster.kubectl('get ct'), /^NAME +SPEC +REPLICAS +AGE\ntabs +\* \* \* \* \*\/5 +1 +\d+s\n$/);
  await cluster.kubectl('scale --replicas=3 crontabs/tabs');
  assert.equal(await cluster.kubectl('get ct -o jsonpath={.items[0].spec.replicas} --field-selector spec.image=my-awesome-cron-image'), '3');
  await cluster.helm(['upgrade', 'tabs', chart, '--set', 'image=newer', '--wait', '--timeout', '30s'], { timeoutMs: 40_000 });
  assert.equal(await cluster.kubectl('get ct tabs -o jsonpath={.spec.image}'), 'newer');
  await cluster.helm(['uninstall', 'tabs', '--wait', '--timeout', '30s'], { timeoutMs: 40_000 });
  assert.equal(await cluster.kubectl('get ct -o name'), '');
});
