import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullImageName, parseImageName } from './image-name.ts';

const digest = `sha256:${'a'.repeat(64)}`;

for (const [text, expected] of [
  ['nginx', 'docker.io/library/nginx:latest'],
  ['nginx:1.25', 'docker.io/library/nginx:1.25'],
  ['bitnami/nginx', 'docker.io/bitnami/nginx:latest'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest'],
  ['localhost/nginx', 'localhost/nginx:latest'],
  ['localhost:5000/a/b:c', 'localhost:5000/a/b:c'],
  ['k8ts.local/hello:1', 'k8ts.local/hello:1'],
  [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
  [`nginx:1@${digest}`, `docker.io/library/nginx:1@${digest}`],
] as const) {
  test(`${text} is ${expected}`, () => {
    const name = parseImageName(text);
    assert.ok(name);
    assert.equal(fullImageName(name), expected);
  });
}

for (const text of ['', 'Nginx', 'nginx:', 'nginx:a b', 'a//b', 'nginx@sha256:short', '-nginx', 'http://nginx']) {
  test(`${JSON.stringify(text)} is no image name`, () => assert.equal(parseImageName(text), undefined));
}
