/** A container's last words: the file at `terminationMessagePath`, or the end of its log when it failed and was told to fall back to that. */
import type { Disk } from './disk.ts';
import { terminationLogAnnotation, terminationMessagePolicyAnnotation } from './labels.ts';
import type { ContainerStatus } from './runtime/runtime.ts';

const maxMessageBytes = 4096;
const maxLogBytes = 2048;
const maxLogLines = 80;

export async function readTerminationMessage(disk: Disk, instance: ContainerStatus): Promise<string> {
  const path = instance.annotations[terminationLogAnnotation];
  const written = path === undefined ? undefined : await disk.readTail(path, maxMessageBytes);
  if (written) return written;
  if (instance.annotations[terminationMessagePolicyAnnotation] === 'FallbackToLogsOnError' && instance.exitCode !== 0) {
    const log = await disk.readTail(instance.logPath, maxLogBytes * 4);
    if (log) return logTail(log);
  }
  return instance.message;
}

/** The text of the last lines of a log in CRI's format: `<time> <stream> <F or P> <text>`. */
function logTail(log: string): string {
  const lines = log.split('\n').filter((line) => line !== '');
  let text = '';
  for (const line of lines.slice(-maxLogLines)) {
    const match = /^\S+ (?:stdout|stderr) ([FP])\S* ?(.*)$/.exec(line);
    if (match) text += `${match[2]}${match[1] === 'F' ? '\n' : ''}`;
  }
  return text.slice(-maxLogBytes);
}
