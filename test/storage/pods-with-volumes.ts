/** Pods with volumes of one cluster, and what stock kubectl and the processes in them say. */
import { type ClusterUnderTest, eventually } from '../support/cluster-under-test.ts';

export const image = 'k8ts.local/hello:1';

export interface Mounted {
  readonly volume?: object;
  readonly claim?: string;
  readonly more?: object;
  readonly mount?: object;
  readonly container?: object;
  readonly run?: string;
}

/** A pod whose volume `data` is at /data; `run` is a line of JavaScript. */
export function podOf(name: string, { volume, claim, more, mount, container, run }: Mounted): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      // With none at all the API would not wait for the node.
      terminationGracePeriodSeconds: 1,
      volumes: [{ name: 'data', ...(claim === undefined ? volume : { persistentVolumeClaim: { claimName: claim } }) }],
      containers: [
        {
          name: 'main',
          image,
          ...(run !== undefined && { command: ['node', '-e', run] }),
          volumeMounts: [{ name: 'data', mountPath: '/data', ...mount }],
          ...container,
        },
      ],
      ...more,
    },
  };
}

export function claimOf(name: string, spec: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  };
}

export interface PodsWithVolumes {
  create(...objects: readonly object[]): Promise<string>;
  ready(pod: string): Promise<string>;
  remove(...names: string[]): Promise<string>;
  /** By JSONPath. */
  field(what: string, path: string): Promise<string>;
  /** Runs a line of JavaScript. */
  inPod(pod: string, script: string): Promise<string>;
  write(pod: string, file: string, text: string): Promise<string>;
  read(pod: string, file: string): Promise<string>;
  /** `object` is `Kind/name`. */
  eventOn(object: string, wanted: RegExp): Promise<void>;
}

export function podsWithVolumes(cluster: () => ClusterUnderTest): PodsWithVolumes {
  const inPod = (pod: string, script: string): Promise<string> => cluster().kubectl(['exec', pod, '--', 'node', '-e', script]);

  async function eventOn(object: string, wanted: RegExp): Promise<void> {
    await eventually(`an event ${wanted} on ${object}`, async () => {
      const [kind = '', name = ''] = object.split('/');
      const selector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
      const told = await cluster().kubectl([
        'get',
        'events',
        '--field-selector',
        selector,
        '-o',
        'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
      ]);
      return wanted.test(told) ? true : undefined;
    });
  }

  return {
    create: (...objects) => cluster().kubectl('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) }),
    ready: (pod) => cluster().kubectl(['wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s'], { timeoutMs: 70_000 }),
    remove: (...names) => cluster().kubectl(['delete', ...names, '--timeout=60s'], { timeoutMs: 70_000 }),
    field: (what, path) => cluster().kubectl(['get', ...what.split(' '), '-o', `jsonpath=${path}`]),
    inPod,
    write: (pod, file, text) => inPod(pod, `require('fs').writeFileSync(${JSON.stringify(file)}, ${JSON.stringify(text)})`),
    read: (pod, file) => inPod(pod, `process.stdout.write(require('fs').readFileSync(${JSON.stringify(file)}, 'utf8'))`),
    eventOn,
  };
}
