/**
 * Pods of this node that have just got their network, before the API knows their addresses: their rules must hold before anything in them runs. What the
 * runtime says of an address stands before what the API says, which may still be about the pod that had it before.
 */
import type { Pod } from '../../api/kinds.ts';
import { formatName, podAddresses } from './peers.ts';

export class EarlyPods {
  /** By namespace and name, with their addresses. */
  readonly #pods = new Map<string, Pod>();

  /** False when it was known. An address is one pod's: whoever had it before is gone. */
  add(pod: Pod, addresses: readonly string[]): boolean {
    const name = formatName(pod);
    const known = this.#pods.get(name);
    if (known && known.metadata.uid === pod.metadata.uid && same(podAddresses(known), addresses)) return false;
    for (const [other, early] of this.#pods) if (podAddresses(early).some((address) => addresses.includes(address))) this.#pods.delete(other);
    this.#pods.set(name, withAddresses(pod, addresses));
    return true;
  }

  /** What the API says of a pod: once that is the same, or the pod has ended, nothing is to be added to it. */
  heard(pod: Pod): void {
    const early = this.#pods.get(formatName(pod));
    if (!early) return;
    const { phase } = pod.status;
    const isIt = early.metadata.uid === pod.metadata.uid;
    if ((isIt && (phase === 'Succeeded' || phase === 'Failed')) || same(podAddresses(early), podAddresses(pod))) this.#pods.delete(formatName(pod));
  }

  gone(pod: Pod): void {
    if (this.#pods.get(formatName(pod))?.metadata.uid === pod.metadata.uid) this.#pods.delete(formatName(pod));
  }

  /** All pods as they are, given those that the API has. */
  over(pods: readonly Pod[], nodeName: string): readonly Pod[] {
    if (this.#pods.size === 0) return pods;
    const taken = new Set([...this.#pods.values()].flatMap(podAddresses));
    const missing = new Map(this.#pods);
    const all: Pod[] = [];
    for (const pod of pods) {
      const early = this.#pods.get(formatName(pod));
      missing.delete(formatName(pod));
      // Labels may have changed since; of the name's former bearer nothing counts any more.
      if (early) all.push(early.metadata.uid === pod.metadata.uid ? withAddresses(pod, podAddresses(early)) : early);
      else if (pod.spec.nodeName !== nodeName || !podAddresses(pod).some((address) => taken.has(address))) all.push(pod);
    }
    return [...all, ...missing.values()];
  }
}

function withAddresses(pod: Pod, addresses: readonly string[]): Pod {
  return { ...pod, status: { ...pod.status, podIPs: addresses.map((ip) => ({ ip })) } };
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address) => b.includes(address));
}
