/** `vol_data.json`: what is known of a volume that a driver was asked for, beside it on the disk, so that any later kubelet can give it back. */
import { join } from 'node:path';
import type { Disk } from '../../disk.ts';
import { csiPlugin } from './csi-volume.ts';

export interface VolumeRecord {
  readonly driverName: string;
  readonly volumeHandle: string;
  readonly specVolID: string;
  readonly attachmentID: string;
  readonly nodeName: string;
  readonly volumeLifecycleMode: string;
}

const file = 'vol_data.json';
const maxBytes = 64 * 1024;

export async function writeRecord(disk: Disk, directory: string, record: VolumeRecord): Promise<void> {
  const path = join(directory, file);
  // Whole or not at all: half a record would be of no use to whoever comes after a crash.
  await disk.writeFile(`${path}.new`, JSON.stringify(record), 0o600);
  await disk.rename(`${path}.new`, path);
}

export async function readRecord(disk: Disk, directory: string): Promise<VolumeRecord | undefined> {
  const text = await disk.readTail(join(directory, file), maxBytes);
  if (text === undefined) return undefined;
  const fields = new Map<string, unknown>(Object.entries(Object(parsed(text))));
  const field = (name: string): string => {
    const value = fields.get(name);
    return typeof value === 'string' ? value : '';
  };
  if (field('driverName') === '') return undefined;
  return {
    driverName: field('driverName'),
    volumeHandle: field('volumeHandle'),
    specVolID: field('specVolID'),
    attachmentID: field('attachmentID'),
    nodeName: field('nodeName'),
    volumeLifecycleMode: field('volumeLifecycleMode'),
  };
}

export async function removeRecord(disk: Disk, directory: string): Promise<void> {
  await disk.removeTree(join(directory, file));
}

export interface RecordedVolume {
  readonly directory: string;
  readonly target: string;
  readonly record: VolumeRecord;
}

/** Those of one pod, by its directory. */
export async function recordedVolumes(disk: Disk, podRoot: string): Promise<RecordedVolume[]> {
  const found: RecordedVolume[] = [];
  for (const [kind, name] of [
    ['volumes', 'mount'],
    ['volumeDevices', 'dev'],
  ] as const) {
    const parent = join(podRoot, kind, csiPlugin);
    for (const entry of await disk.list(parent)) {
      const directory = join(parent, entry);
      const record = await readRecord(disk, directory);
      if (record) found.push({ directory, target: join(directory, name), record });
    }
  }
  return found;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not ours: what we write is whole.
    return undefined;
  }
}
