import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Ingress, IngressClass } from '../api/kinds.ts';
import type { V1HTTPIngressPath, V1IngressRule, V1IngressSpec } from '../api/types.ts';
import { hostOf, match, namesOf, routesOf, servedIngresses } from './routes.ts';

type PathType = 'Exact' | 'Prefix' | 'ImplementationSpecific';

function path(pathType: PathType, of: string, service = of): V1HTTPIngressPath {
  return { path: of, pathType, backend: { service: { name: service, port: { number: 80 } } } };
}

function rule(host: string | undefined, ...paths: V1HTTPIngressPath[]): V1IngressRule {
  return { ...(host !== undefined && { host }), ...(paths.length > 0 && { http: { paths } }) };
}

function ingress(name: string, spec: V1IngressSpec, created = '2026-01-01T00:00:00Z'): Ingress {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: created },
    spec: { ingressClassName: 'k8ts', ...spec },
    status: {},
  };
}

/** The name of the Service a request comes to. */
function serviceOf(ingresses: readonly Ingress[], host: string, of: string): string | undefined {
  return match(routesOf(ingresses), host, of)?.backend?.service;
}

describe('a path', () => {
  // Upstream's table of examples, with the cases at its edges.
  const cases: readonly [PathType, declared: string, requested: string, matches: boolean][] = [
    ['Prefix', '/', '/any/thing', true],
    ['Exact', '/foo', '/foo', true],
    ['Exact', '/foo', '/bar', false],
    ['Exact', '/foo', '/foo/', false],
    ['Exact', '/foo/', '/foo', false],
    ['Prefix', '/foo', '/foo', true],
    ['Prefix', '/foo', '/foo/', true],
    ['Prefix', '/foo/', '/foo', true],
    ['Prefix', '/foo/', '/foo/', true],
    ['Prefix', '/aaa/bb', '/aaa/bbb', false],
    ['Prefix', '/aaa/bbb', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb/', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/ccc', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbbxyz', false],
    ['Prefix', '/foo', '/FOO', false],
    ['ImplementationSpecific', '/foo', '/foo/bar', true],
    ['ImplementationSpecific', '/foo/*', '/foo/bar', true],
    ['ImplementationSpecific', '/foo', '/foobar', false],
  ];
  for (const [type, declared, requested, matches] of cases) {
    it(`${type} ${declared} ${matches ? 'takes' : 'leaves'} ${requested}`, () => {
      assert.equal(serviceOf([ingress('a', { rules: [rule('h', path(type, declared))] })], 'h', requested), matches ? declared : undefined);
    });
  }

  it('is the longest of those that match, and the exact one of two alike', () => {
    const rules = [rule('h', path('Prefix', '/'), path('Prefix', '/a'), path('Prefix', '/a/b', 'prefix'), path('Exact', '/a/b', 'exact'))];
    const ask = (of: string): string | undefined => serviceOf([ingress('a', { rules })], 'h', of);
    assert.deepEqual(['/x', '/a/x', '/a/b/x', '/a/b'].map(ask), ['/', '/a', 'prefix', 'exact']);
  });

  it('never leads past its own elements', () => {
    const element = fc.stringMatching(/^[a-z]{1,3}$/);
    const elements = fc.array(element, { maxLength: 4 });
    fc.assert(
      fc.property(elements, elements, (declared, requested) => {
        const isPrefix = declared.every((part, index) => requested[index] === part);
        const found = serviceOf(
          [ingress('a', { rules: [rule('h', path('Prefix', `/${declared.join('/')}`, 's'))] })],
          'h',
          `/${requested.join('/')}`,
        );
        assert.equal(found === 's', isPrefix);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a host', () => {
  const rules = [
    rule('a.example.com', path('Prefix', '/', 'exact')),
    rule('*.example.com', path('Prefix', '/', 'star')),
    rule(undefined, path('Prefix', '/', 'any')),
  ];
  const ask = (host: string): string | undefined => serviceOf([ingress('a', { rules })], host, '/');

  it('as it is goes before one with a star, that before none', () => {
    assert.deepEqual(['a.example.com', 'b.example.com', 'other'].map(ask), ['exact', 'star', 'any']);
  });
  it('with a star stands for one label, not none and not two', () => {
    assert.deepEqual(['example.com', 'x.b.example.com'].map(ask), ['any', 'any']);
  });
  it('is read without port and case', () => {
    assert.deepEqual(['A.Example.com:8080', 'a.example.com.', '[::1]:80', ''].map(hostOf), ['a.example.com', 'a.example.com', '[::1]', '']);
    assert.deepEqual(namesOf('localhost'), ['localhost', '']);
  });
});

describe('a default backend', () => {
  const defaultBackend = { service: { name: 'rest', port: { name: 'http' } } };
  it('takes what no rule is about', () => {
    const all = [ingress('a', { defaultBackend, rules: [rule('h', path('Exact', '/x'))] })];
    assert.equal(serviceOf(all, 'h', '/y'), 'rest');
    assert.equal(serviceOf(all, 'other', '/x'), 'rest');
  });
  it('takes all of a host without paths', () => {
    assert.equal(serviceOf([ingress('a', { defaultBackend, rules: [rule('h')] })], 'h', '/y'), 'rest');
  });
  it('that is no Service is a rule that leads nowhere, and the next backend does not take its place', () => {
    const resource = { resource: { apiGroup: 'k8s.example.com', kind: 'StorageBucket', name: 'static' } };
    const bucket = ingress('bucket', {
      defaultBackend,
      rules: [{ host: 'h', http: { paths: [{ path: '/', pathType: 'Prefix', backend: resource }] } }],
    });
    assert.deepEqual(match(routesOf([bucket]), 'h', '/y')?.backend, undefined);
    assert.notEqual(match(routesOf([bucket]), 'h', '/y'), undefined);
  });
  it('is nothing where there is none', () => {
    assert.equal(match(routesOf([ingress('a', { rules: [rule('h', path('Exact', '/x'))] })]), 'other', '/'), undefined);
  });
});

describe('Ingresses', () => {
  const classes: IngressClass[] = [
    ['k8ts', 'k8ts.io/ingress'],
    ['nginx', 'k8s.io/ingress-nginx'],
  ].map(([name = '', controller = '']) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { controller },
  }));
  const rules = [rule('h', path('Prefix', '/', 'web'))];

  it('are served that are of a class of this controller', () => {
    const none = ingress('none', { rules });
    delete none.spec.ingressClassName;
    const old = { ...none, metadata: { ...none.metadata, name: 'old', annotations: { 'kubernetes.io/ingress.class': 'k8ts' } } };
    const all = [ingress('ours', { rules }), ingress('theirs', { rules, ingressClassName: 'nginx' }), none, old];
    assert.deepEqual(
      servedIngresses(all, classes).map(({ metadata }) => metadata.name),
      ['old', 'ours'],
    );
  });
  it('that claim the same have it by age', () => {
    const younger = ingress('a', { rules: [rule('h', path('Prefix', '/', 'younger'))] }, '2026-01-02T00:00:00Z');
    const older = ingress('b', { rules: [rule('h', path('Prefix', '/', 'older'))] });
    assert.equal(serviceOf(servedIngresses([younger, older], classes), 'h', '/'), 'older');
  });
  it('name a secret for hosts, or for all of theirs', () => {
    const { tls } = routesOf([
      ingress('a', { rules: [rule('h')], tls: [{ secretName: 's' }, { hosts: ['X.y'], secretName: 't' }, { hosts: ['z'] }] }),
    ]);
    assert.deepEqual(tls, [
      { host: 'h', namespace: 'default', secret: 's' },
      { host: 'x.y', namespace: 'default', secret: 't' },
    ]);
  });
});
