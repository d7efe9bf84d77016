import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReason } from '../../machinery/errors.ts';
import { negotiate, prettyFor } from './negotiate.ts';

const kubectlTable = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

const builtIn = { protobuf: true, stream: false } as const;
const jsonOnly = { protobuf: false, stream: false } as const;

const cases: readonly (readonly [string | undefined, string])[] = [
  [undefined, 'json object v1'],
  ['*/*', 'json object v1'],
  ['application/json', 'json object v1'],
  ['application/yaml', 'yaml object v1'],
  ['application/vnd.kubernetes.protobuf,application/json', 'protobuf object v1'],
  ['application/json,application/vnd.kubernetes.protobuf', 'json object v1'],
  ['application/vnd.kubernetes.protobuf;q=0.5,application/json;q=0.9', 'json object v1'],
  ['*/*,application/vnd.kubernetes.protobuf', 'protobuf object v1'],
  ['application/json; charset=utf-8', 'json object v1'],
  ['application/json;q=0,application/yaml', 'yaml object v1'],
  ['application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io', 'json table v1'],
  ['application/json;stream=watch', 'json object v1'],
  [kubectlTable, 'json table v1'],
  ['application/json;as=Table;v=v1beta1;g=meta.k8s.io', 'json table v1beta1'],
  ['application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'json metadata-list v1'],
  [
    'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    'protobuf metadata v1',
  ],
  ['application/json;as=Table;v=v9;g=meta.k8s.io,application/yaml', 'yaml object v1'],
  ['application/yaml;q=0.5,application/json', 'json object v1'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'json object v1'],
];

for (const [accept, expected] of cases) {
  test(`Accept: ${accept ?? '(none)'} gets ${expected}`, () => {
    const { format, as, metaVersion } = negotiate(accept, builtIn);
    assert.equal(`${format} ${as} ${metaVersion}`, expected);
  });
}

test('a client that only takes what the server cannot write gets a 406', () => {
  for (const accept of ['application/vnd.kubernetes.protobuf', 'text/html', 'application/json;as=Fruit;v=v1;g=meta.k8s.io']) {
    assert.throws(
      () => negotiate(accept, jsonOnly),
      (error: unknown) => isReason(error, 'NotAcceptable'),
    );
  }
});

test('a custom resource has no protobuf of its own, but its metadata has', () => {
  assert.equal(negotiate('application/vnd.kubernetes.protobuf,application/json', jsonOnly).format, 'json');
  assert.equal(negotiate('application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1', jsonOnly).format, 'protobuf');
});

test('a stream has no YAML', () => {
  const stream = { protobuf: true, stream: true } as const;
  assert.equal(negotiate('application/vnd.kubernetes.protobuf;stream=watch', stream).format, 'protobuf');
  assert.equal(negotiate('application/yaml,application/json', stream).format, 'json');
  assert.throws(
    () => negotiate('application/yaml', stream),
    (error: unknown) =>
      isReason(error, 'NotAcceptable') &&
      error.message === 'only the following media types are accepted: application/json, application/vnd.kubernetes.protobuf',
  );
});

test('people get indented JSON, programs do not unless they ask', () => {
  const plain = negotiate(undefined, builtIn);
  assert.equal(prettyFor(plain, '', 'curl/8.0').pretty, true);
  assert.equal(prettyFor(plain, 'pretty=false', 'curl/8.0').pretty, false);
  assert.equal(prettyFor(plain, '', 'kubectl/v1.35').pretty, false);
  assert.equal(prettyFor(plain, 'pretty=true', 'kubectl/v1.35').pretty, true);
});
