/** What people get wrong with stock kubectl, answered in kubectl's own words. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedCluster } from './asked-cluster.ts';

const asked = askedCluster('--control-plane-only');

describe('stock kubectl', () => {
  interface Wrong {
    readonly name: string;
    readonly args: string;
    readonly input?: string;
    readonly says: RegExp;
  }
  const wrongs: readonly Wrong[] = [
    { name: 'malformed YAML', args: 'apply -f -', input: 'kind: [\n', says: /error converting YAML to JSON/ },
    {
      name: 'an unknown kind',
      args: 'apply -f -',
      input: 'apiVersion: example.com/v1\nkind: Nope\nmetadata: {name: a}\n',
      says: /no matches for kind "Nope" in version "example.com\/v1"/,
    },
    { name: 'no kind', args: 'apply -f -', input: 'metadata: {name: a}\n', says: /apiVersion not set|kind not set/ },
    {
      name: 'no name',
      args: 'create -f -',
      input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n',
      says: /resource name may not be empty|name or generateName is required/,
    },
    {
      name: 'a wrong type',
      args: 'apply -f -',
      input: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n',
      says: /cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32/,
    },
    {
      name: 'an unknown field',
      args: 'apply -f -',
      input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndta: {}\n',
      says: /strict decoding error: unknown field "dta"/,
    },
    {
      name: 'an invalid name',
      args: 'create configmap Bad_Name',
      says: /ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name"/,
    },
    {
      name: 'a missing selector',
      args: 'create -f -',
      input:
        'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: d}]}}}\n',
      says: /spec.selector: Required value/,
    },
    { name: 'a bad label selector', args: 'get pods -l a=b=c', says: /found '=', expected: ',' or 'end of string'/ },
    { name: 'a bad field selector', args: 'get pods --field-selector spec.nope=1', says: /field label not supported: spec.nope/ },
    { name: 'a resource type that is not there', args: 'get nopes', says: /the server doesn't have a resource type "nopes"/ },
    { name: 'an object that is not there', args: 'get configmap nope', says: /Error from server \(NotFound\): configmaps "nope" not found/ },
    { name: 'logs of a pod that is not there', args: 'logs nope', says: /pods "nope" not found/ },
    {
      name: 'a port that is taken',
      args: 'create -f -',
      input: 'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}\n',
      says: /spec.ports\[0\].nodePort: Invalid value: 80: provided port is not in the valid range/,
    },
    {
      name: 'a change of what may not change',
      args: 'patch service kubernetes -p {"spec":{"clusterIP":"10.1.1.1"}}',
      says: /spec.clusterIPs?\[?0?\]?: Invalid value: .*(field is immutable|may not change once set)/,
    },
    {
      name: 'an object that is there',
      args: 'create configmap kube-root-ca.crt',
      says: /configmaps "kube-root-ca.crt" already exists/,
    },
    { name: 'a namespace one may not delete', args: 'delete namespace default', says: /Forbidden/ },
  ];
  for (const { name, args, input, says } of wrongs) {
    test(name, async () => {
      const outcome = await asked.cluster.tryKubectl(args, input === undefined ? {} : { input });
      assert.equal(outcome.code, 1, outcome.stdout + outcome.stderr);
      assert.match(outcome.stderr, says);
      assert.doesNotMatch(outcome.stderr, /InternalError|panic|\.ts:\d/);
    });
  }
});
