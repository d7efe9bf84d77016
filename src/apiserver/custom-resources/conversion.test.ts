import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { Fixture, type Reply } from '../verbs/fixture.ts';
import { convertedObjects, RefusedConversion } from './conversion-review.ts';
import { endpointDefinition, type Json, reviewAnswer, splitHost, startTestConverter, type TestConverter } from './test-conversion.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const v1 = '/apis/stable.example.com/v1/namespaces/a/endpointers';
const v2 = '/apis/stable.example.com/v2/namespaces/a/endpointers';

let fixture: Fixture;
let converter: TestConverter;
const fixtures: Fixture[] = [];
beforeEach(async () => {
  fixture = await Fixture.open();
  fixtures.push(fixture);
  converter = await startTestConverter(splitHost, ['convert.a.svc']);
});
afterEach(() => converter.close());
after(() => Promise.all(fixtures.map((one) => one.close())));

async function define(storage = 'v1'): Promise<void> {
  const definition = endpointDefinition({ url: `https://127.0.0.1:${converter.port}/convert`, caBundle: converter.caBundle }, storage);
  const created = await fixture.post(definitions, definition);
  assert.equal(created.code, 201, JSON.stringify(created.body));
  await until(async () => (await fixture.get(v2)).code === 200);
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (await holds()) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.fail('it never was so');
}

function ok(reply: Reply, code = 200): Reply['body'] {
  assert.equal(reply.code, code, JSON.stringify(reply.body));
  return reply.body;
}

const old = (name: string, hostPort = 'here:80') => ({ apiVersion: 'stable.example.com/v1', kind: 'Endpointer', metadata: { name }, hostPort });

describe('a version that a webhook converts', () => {
  test('is read and written at either version, and stored in one', async () => {
    await define();
    ok(await fixture.post(v1, old('one')), 201);
    assert.equal(converter.asked.length, 0, 'what is stored as it is asked for needs no converting');
    const shown = ok(await fixture.get(`${v2}/one`));
    assert.deepEqual(
      { apiVersion: shown.apiVersion, host: shown['host'], port: shown['port'], protocol: shown['protocol'], hostPort: shown['hostPort'] },
      { apiVersion: 'stable.example.com/v2', host: 'here', port: '80', protocol: 'tcp', hostPort: undefined },
    );
    const changed = ok(await fixture.patch(`${v2}/one`, { port: '81' }));
    assert.deepEqual([changed['port'], changed.metadata.generation], ['81', 2]);
    assert.equal(ok(await fixture.get(`${v1}/one`))['hostPort'], 'here:81');
    const { items } = (await fixture.store.range('/registry/stable.example.com/endpointers/')) as { items: readonly { value: Uint8Array }[] };
    assert.match(Buffer.from(items[0]?.value ?? []).toString(), /"apiVersion":"stable.example.com\/v1".*"hostPort":"here:81"/);
  });

  test('is created, applied, scaled down to nothing and deleted', async () => {
    await define();
    const created = ok(await fixture.post(v2, { metadata: { name: 'two', labels: { x: 'y' } }, host: 'there', port: '1' }), 201);
    assert.equal(created['protocol'], 'tcp');
    assert.deepEqual(
      created.metadata.managedFields?.map(({ apiVersion }) => apiVersion),
      ['stable.example.com/v2'],
    );
    const applied = ok(
      await fixture.apply(`${v2}/two?force=true`, 'me', {
        apiVersion: 'stable.example.com/v2',
        kind: 'Endpointer',
        metadata: { name: 'two' },
        protocol: 'udp',
      }),
    );
    // What the stored version has no place for is lost, as the webhook said; its default comes back.
    assert.equal(applied['protocol'], 'tcp');
    const watch = await fixture.watch(v2);
    ok(await fixture.delete(`${v2}/two`));
    await until(() => watch.lines().length === 2);
    assert.deepEqual(watch.lines(), ['ADDED two', 'DELETED two']);
    assert.equal(watch.events[1]?.object['host'], 'there');
    assert.equal((await fixture.get(`${v1}/two`)).code, 404);
    watch.close();
  });

  test('validates in the version of the request', async () => {
    await define();
    ok(await fixture.post(v1, old('long', `${'x'.repeat(30)}:1`)), 201);
    const refused = await fixture.post(v2, { metadata: { name: 'other' }, host: 'y'.repeat(30), port: '1' });
    assert.equal(refused.code, 422);
    assert.deepEqual(
      refused.body['details'].causes.map(({ field }: Json) => field),
      ['host'],
    );
  });

  test('is listed with one call for all that has to be converted', async () => {
    await define();
    for (const name of ['a', 'b', 'c']) ok(await fixture.post(v1, old(name)), 201);
    await fixture.restart();
    converter.asked.length = 0;
    const list = ok(await fixture.get('/apis/stable.example.com/v2/endpointers'));
    assert.deepEqual(
      list.items?.map((item) => item['host']),
      ['here', 'here', 'here'],
    );
    assert.deepEqual(
      converter.asked.map(({ objects }) => objects.length),
      [3],
    );
    ok(await fixture.get(v2));
    assert.equal(converter.asked.length, 1, 'nothing is converted twice');
    const page = ok(await fixture.get(`${v2}?limit=2`));
    ok(await fixture.patch(`${v1}/c`, { hostPort: 'new:1' }));
    const rest = ok(await fixture.get(`${v2}?limit=2&continue=${encodeURIComponent(page.metadata.continue ?? '')}`));
    assert.deepEqual(
      rest.items?.map((item) => item['host']),
      ['here'],
      'a later page is as old as the first',
    );
    assert.deepEqual(
      ok(await fixture.get(`${v2}?fieldSelector=host=new`)).items?.map(({ metadata }) => metadata.name),
      ['c'],
    );
  });

  test('is watched at either version, in order', async () => {
    await define();
    const watches = [await fixture.watch(v1), await fixture.watch(v2)];
    ok(await fixture.post(v1, old('w')), 201);
    ok(await fixture.patch(`${v2}/w`, { host: 'there' }));
    ok(await fixture.patch(`${v1}/w`, { hostPort: 'again:2' }));
    ok(await fixture.delete(`${v1}/w`));
    for (const watch of watches) {
      await until(() => watch.lines().length === 4);
      assert.deepEqual(watch.lines(), ['ADDED w', 'MODIFIED w', 'MODIFIED w', 'DELETED w']);
      const versions = watch.events.map(({ object }) => Number(object['metadata'].resourceVersion));
      assert.deepEqual(
        versions,
        versions.toSorted((a, b) => a - b),
      );
      watch.close();
    }
    assert.deepEqual(
      watches[1]?.events.map(({ object }) => object['host']),
      ['here', 'there', 'again', 'again'],
    );
  });

  test('keeps its objects readable when another version becomes the stored one', async () => {
    await define();
    ok(await fixture.post(v1, old('kept')), 201);
    const definition = ok(await fixture.get(`${definitions}/endpointers.stable.example.com`));
    const versions = definition['spec'].versions.map((version: Json) => ({ ...version, storage: version.name === 'v2' }));
    const changed = ok(
      await fixture.put(`${definitions}/endpointers.stable.example.com`, { ...definition, spec: { ...definition['spec'], versions } }),
    );
    assert.deepEqual(changed['status'].storedVersions, ['v1', 'v2']);
    ok(await fixture.post(v1, old('new')), 201);
    const list = ok(await fixture.get(v1));
    assert.deepEqual(
      list.items?.map((item) => `${item.metadata.name} ${String(item['hostPort'])}`),
      ['kept here:80', 'new here:80'],
    );
    ok(await fixture.patch(`${v2}/kept`, { metadata: { labels: { touched: 'yes' } } }));
    const { items } = await fixture.store.range('/registry/stable.example.com/endpointers/');
    for (const { value } of items) assert.match(Buffer.from(value).toString(), /"apiVersion":"stable.example.com\/v2"/);
  });

  test('is asked at a Service by its endpoints', async () => {
    ok(await fixture.post('/api/v1/namespaces/a/services', { metadata: { name: 'convert' }, spec: { ports: [{ port: 9443 }] } }), 201);
    const slice = {
      metadata: { name: 'convert-1', labels: { 'kubernetes.io/service-name': 'convert' } },
      addressType: 'IPv4',
      ports: [{ name: '', port: converter.port }],
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
    };
    // Endpoints on the loopback are refused when written; here they are what there is.
    const key = '/registry/discovery.k8s.io/endpointslices/a/convert-1';
    const { metadata, ...rest } = slice;
    const stored = { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', metadata: { ...metadata, namespace: 'a', uid: 'u' }, ...rest };
    await fixture.store.commit([{ type: 'put', key, value: Buffer.from(JSON.stringify(stored)) }]);
    const client = { service: { name: 'convert', namespace: 'a', path: '/crdconvert', port: 9443 }, caBundle: converter.caBundle };
    ok(await fixture.post(definitions, endpointDefinition(client)), 201);
    await until(async () => (await fixture.get(v1)).code === 200);
    ok(await fixture.post(v1, old('served')), 201);
    assert.equal(ok(await fixture.get(`${v2}/served`))['host'], 'here');
  });
});

describe('a webhook that fails', () => {
  test('is told as upstream tells it, and what needs no converting still works', async () => {
    await define();
    ok(await fixture.post(v1, old('one')), 201);
    converter.answer = ({ uid }) => reviewAnswer({ uid, result: { status: 'Failure', message: 'no way' } });
    const reply = await fixture.get(`${v2}/one`);
    assert.equal(reply.code, 500);
    assert.equal(reply.body['message'], 'conversion webhook for stable.example.com/v1, Kind=Endpointer failed: no way');
    assert.equal((await fixture.get(v2)).code, 500);
    ok(await fixture.get(`${v1}/one`));
    const created = await fixture.post(v2, { metadata: { name: 'two' }, host: 'h', port: '1' });
    assert.equal(created.code, 500);
    assert.equal((await fixture.get(`${v1}/two`)).code, 404, 'nothing was written');
    converter.answer = splitHost;
    assert.equal(ok(await fixture.get(`${v2}/one`))['host'], 'here', 'once it is mended, so is the answer');
  });

  test('takes only the objects it refuses with it', async () => {
    await define();
    for (const name of ['bad', 'fine', 'good']) ok(await fixture.post(v1, old(name)), 201);
    converter.answer = (request) =>
      request.objects.some(({ metadata }) => metadata.name === 'bad')
        ? reviewAnswer({ uid: request.uid, result: { status: 'Failure', message: 'bad' } })
        : splitHost(request);
    assert.equal(ok(await fixture.get(`${v2}/good`))['host'], 'here');
    assert.equal((await fixture.get(`${v2}/bad`)).code, 500);
    assert.equal((await fixture.get(v2)).code, 500);
    ok(await fixture.delete(`${v1}/bad`));
    assert.equal(ok(await fixture.get(v2)).items?.length, 2);
  });

  test('ends watches that would have missed something', async () => {
    await define();
    const watch = await fixture.watch(v2);
    converter.answer = ({ uid }) => reviewAnswer({ uid, result: { status: 'Failure', message: 'not now' } });
    ok(await fixture.post(v1, old('one')), 201);
    const error = await watch.ended;
    assert.match(String(error), /not now/);
  });

  test('that nobody reaches names the URL', async () => {
    const url = 'https://127.0.0.1:1/convert';
    ok(await fixture.post(definitions, endpointDefinition({ url })), 201);
    await until(async () => (await fixture.get(v1)).code === 200);
    ok(await fixture.post(v1, old('one')), 201);
    const reply = await fixture.get(`${v2}/one`);
    assert.match(
      reply.body['message'],
      /^conversion webhook for stable\.example\.com\/v1, Kind=Endpointer failed: Post "https:\/\/127\.0\.0\.1:1\/convert\?timeout=30s": .*ECONNREFUSED/,
    );
  });
});

test('whatever a webhook answers, the server says what is wrong with it', async () => {
  await define();
  ok(await fixture.post(v1, old('one')), 201);
  const pieces = fc.constantFrom<Json>('Success', null, 1, [], {}, { status: 'Success' }, [null], [{}], [{ metadata: 3 }], 'stable.example.com/v2');
  const answer = fc.oneof(
    fc.record({ uid: pieces, result: pieces, convertedObjects: pieces }).map((response) => reviewAnswer(response)),
    fc.record({ result: pieces, convertedObjects: pieces }),
    pieces,
  );
  await fc.assert(
    fc.asyncProperty(answer, fc.boolean(), async (given, isOwn) => {
      converter.answer = ({ uid }) => (isOwn ? reviewAnswer({ uid, ...(given as object) }) : given) ?? null;
      const reply = await fixture.get(`${v2}/one`);
      assert.equal(reply.code, 500);
      assert.match(reply.body['message'], /^conversion webhook for stable\.example\.com\/v1, Kind=Endpointer /);
    }),
    { numRuns: 40 },
  );
  converter.answer = splitHost;
  ok(await fixture.get(`${v2}/one`));
});

describe("a definition's conversion", () => {
  const service = { name: 'convert', namespace: 'a' };
  const webhook = (clientConfig: object | undefined, conversionReviewVersions: readonly string[] = ['v1']) => ({
    strategy: 'Webhook',
    webhook: { ...(clientConfig && { clientConfig }), conversionReviewVersions },
  });
  const why = 'must include at least one of v1, v1beta1';
  for (const [name, conversion, fields] of [
    ['of no known kind', { strategy: 'Guess' }, ['spec.conversion.strategy']],
    ['without a place to ask', webhook(undefined), ['spec.conversion.webhookClientConfig']],
    ['with two places', webhook({ service, url: 'https://example.com' }), ['spec.conversion.webhookClientConfig']],
    ['at a URL without TLS', webhook({ url: 'http://example.com' }), ['spec.conversion.webhookClientConfig.url']],
    ['at a service with a wrong path', webhook({ service: { ...service, path: 'x' } }), ['spec.conversion.webhookClientConfig.service.path']],
    ['with an authority that is none', webhook({ service, caBundle: 'QUJD' }), ['spec.conversion.webhookClientConfig.caBundle']],
    ['in no version', webhook({ service }, []), ['spec.conversion.conversionReviewVersions']],
    ['in unknown versions', webhook({ service }, ['v7']), ['spec.conversion.conversionReviewVersions']],
    ['in the same version twice', webhook({ service }, ['v1', 'v1']), ['spec.conversion.conversionReviewVersions[1]']],
    ['by nobody, at a place', { ...webhook({ service }), strategy: 'None' }, ['spec.conversion.webhookClientConfig']],
  ] as const) {
    test(`${name} is refused`, async () => {
      const definition = endpointDefinition({ service });
      const reply = await fixture.post(definitions, { ...definition, spec: { ...definition.spec, conversion } });
      assert.equal(reply.code, 422, JSON.stringify(reply.body));
      assert.deepEqual(
        reply.body['details'].causes.map(({ field }: Json) => field),
        fields,
      );
      if (name === 'in unknown versions') assert.match(reply.body['message'], new RegExp(why));
    });
  }
});

describe('an answer', () => {
  const original = { kind: 'Endpointer', apiVersion: 'g/v1', metadata: { name: 'x', namespace: 'a', uid: '1', labels: { a: 'b' } } } as Json;
  const asked = { uid: 'u', desiredApiVersion: 'g/v2', objects: [original] };
  const answered = (object: Json, response: object = {}) =>
    reviewAnswer({ uid: 'u', result: { status: 'Success' }, convertedObjects: [object], ...response });
  const good = { ...original, apiVersion: 'g/v2' };

  test('may change labels and annotations, and nothing else of the metadata', () => {
    const metadata = { ...original.metadata, labels: { new: 'one' }, annotations: { n: 'o' }, finalizers: ['hold.it/here'], resourceVersion: '9' };
    const [converted] = convertedObjects(answered({ ...good, metadata, spec: 1 }), asked) as Json[];
    assert.deepEqual(converted.metadata, { name: 'x', namespace: 'a', uid: '1', labels: { new: 'one' }, annotations: { n: 'o' } });
  });

  const prefix = 'conversion webhook for g/v1, Kind=Endpointer ';
  for (const [name, answer, message] of [
    [
      'of another kind',
      { kind: 'AdmissionReview', apiVersion: 'x/v1' },
      'failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got x/v1, Kind=AdmissionReview',
    ],
    [
      'without a response',
      reviewAnswer({}).valueOf() && { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1' },
      'failed: no response provided',
    ],
    ['to another request', answered(good, { uid: 'other' }), 'failed: expected response.uid="u", got "other"'],
    ['of failure', answered(good, { result: { status: 'Failure' } }), "failed: response.result.status was 'Failure', not 'Success'"],
    ['with too few objects', reviewAnswer({ uid: 'u', result: { status: 'Success' }, convertedObjects: [] }), 'returned 0 objects, expected 1'],
    ['in a wrong version', answered(original), 'returned invalid converted object at index 0: invalid groupVersion (expected g/v2, received g/v1)'],
    [
      'with another name',
      answered({ ...good, metadata: { ...original.metadata, name: 'y' } }),
      'returned invalid converted object at index 0: must have the same name: x != y',
    ],
    [
      'with another uid',
      answered({ ...good, metadata: { ...original.metadata, uid: '2' } }),
      'returned invalid converted object at index 0: must have the same UID: 1 != 2',
    ],
    ['without metadata', answered({ kind: 'Endpointer', apiVersion: 'g/v2' }), 'returned invalid metadata: missing metadata in converted object'],
    [
      'with a label that is no text',
      answered({ ...good, metadata: { ...original.metadata, labels: { a: 1 } } }),
      'returned invalid metadata: metadata.labels[a] must be a string, but is number in converted object',
    ],
  ] as const) {
    test(`${name} is refused`, () => {
      assert.throws(() => convertedObjects(answer, asked), new RefusedConversion(prefix + message));
    });
  }

  test('of whatever form is converted objects or a refusal', () => {
    const field = fc.constantFrom('kind', 'apiVersion', 'response', 'uid', 'result', 'status', 'convertedObjects', 'metadata', 'labels', 'name');
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom('u', 'Success', 'g/v2', 'x', null, 1),
        fc.array(tie('node')),
        fc.dictionary(field, tie('node')),
      ),
    })).node;
    fc.assert(
      fc.property(tree, fc.boolean(), (value, whole) => {
        try {
          const objects = convertedObjects(whole ? value : answered(value as Json), asked);
          assert.equal(objects.length, 1);
          assert.equal(objects[0]?.metadata.uid, '1');
        } catch (error) {
          assert.ok(error instanceof RefusedConversion, String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('a definition that changes while its objects are converted leaves nothing running', async () => {
  await define();
  for (let i = 0; i < 5; i++) ok(await fixture.post(v1, old(`o${i}`)), 201);
  const path = `${definitions}/endpointers.stable.example.com`;
  for (let round = 0; round < 5; round++) {
    const reads = Promise.all([fixture.get(v2), fixture.get(`${v2}/o1`), fixture.patch(`${v2}/o2`, { port: String(round) })]);
    ok(await fixture.patch(path, { spec: { names: { categories: [`round${round}`] } } }));
    for (const { code, body } of await reads) assert.ok(code === 200 || code === 503, JSON.stringify(body));
  }
  const { items = [] } = ok(await fixture.get(v2));
  assert.equal(items.length, 5);
  ok(await fixture.delete(path));
  await until(async () => (await fixture.get(path)).code === 404);
  assert.equal((await fixture.get(v2)).code, 404);
});
