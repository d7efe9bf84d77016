/** What the container runtime itself takes for a pod, without a cluster: the limit that pod starts are measured against, taken in the same run. */
import { mkdirSync } from 'node:fs';
import { loadBuiltInImages } from '../src/cluster/built-in-images.ts';
import { realWorld } from '../src/world/real.ts';
import { type PrivateContainerd, privateContainerd } from '../test/containers/private-containerd.ts';
import { median } from './figure.ts';

export interface BareCri {
  /** Seconds from the first call until the container runs. */
  readonly one: number;
  /** The same for twenty at once. */
  readonly twenty: number;
}

const rounds = 5;

export async function bareCri(image: string): Promise<BareCri> {
  const host = await privateContainerd(realWorld({ level: 'silent' }), '10.201.20');
  try {
    await loadBuiltInImages(host.containerd.socket, () => undefined, new AbortController().signal);
    await started(host, 'warm', image);
    const one: number[] = [];
    for (let round = 0; round < rounds; round++) one.push(await started(host, `one-${round}`, image));
    const begin = performance.now();
    await Promise.all(Array.from({ length: 20 }, (_, index) => started(host, `many-${index}`, image)));
    return { one: median(one), twenty: (performance.now() - begin) / 1000 };
  } finally {
    await host.close();
  }
}

async function started({ runtime, sandbox, container }: PrivateContainerd, name: string, image: string): Promise<number> {
  const config = sandbox(name);
  mkdirSync(config.logDirectory, { recursive: true });
  const begin = performance.now();
  const sandboxId = await runtime.runPodSandbox(config);
  await runtime.startContainer(await runtime.createContainer(sandboxId, container(image), config));
  return (performance.now() - begin) / 1000;
}
