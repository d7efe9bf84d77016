/** The kubelet's paths for a pod's streams: containers' logs, commands in them, their standard streams, their ports. */
import type { Pod } from '../../api/kinds.ts';
import { badRequest, invalid } from '../../machinery/errors.ts';
import { type PodLogOptions, parsePodLogOptions, UnreadableOption, validatePodLogOptions } from '../../machinery/pod-log-options.ts';
import type { ResourceTarget } from '../request.ts';
import { containerOf } from './pod-target.ts';

const logOptions = ['follow', 'previous', 'timestamps', 'sinceSeconds', 'sinceTime', 'limitBytes', 'tailLines', 'stream'] as const;

/** The kubelet's names of the streams. */
const streamFlags = { stdin: 'input', stdout: 'output', stderr: 'error', tty: 'tty' } as const;

/** Throws a 400 or 422 for what no kubelet could answer. */
export function logPath(pod: Pod, query: URLSearchParams): string {
  const errors = validatePodLogOptions(readable(query));
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, pod.metadata.name, errors);
  const container = containerOf(pod, query.get('container'));
  const passed = new URLSearchParams();
  for (const option of logOptions) {
    const value = query.get(option);
    if (value !== null && value !== '') passed.set(option, value);
  }
  return withQuery(`/containerLogs/${place(pod)}/${encodeURIComponent(container)}`, passed);
}

function readable(query: URLSearchParams): PodLogOptions {
  try {
    return parsePodLogOptions(query);
  } catch (error) {
    if (error instanceof UnreadableOption) throw badRequest(error.message);
    throw error;
  }
}

/** For `exec`, `attach` and `portforward`. Throws a 400 when no stream is asked for. */
export function streamPath(subresource: ResourceTarget['subresource'], pod: Pod, query: URLSearchParams): string {
  if (subresource === 'portforward') {
    const passed = new URLSearchParams();
    for (const port of query.getAll('ports')) passed.append('port', port);
    return withQuery(`/portForward/${place(pod)}`, passed);
  }
  const passed = new URLSearchParams();
  for (const command of query.getAll('command')) passed.append('command', command);
  let streams = 0;
  for (const [option, name] of Object.entries(streamFlags)) {
    const value = query.get(option);
    if (value === null || value === 'false' || value === '0') continue;
    passed.set(name, '1');
    if (option !== 'tty') streams++;
  }
  if (streams === 0) throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  if (subresource === 'exec' && !passed.has('command')) throw badRequest('you must specify at least one command for the container');
  return withQuery(`/${subresource ?? ''}/${place(pod)}/${encodeURIComponent(containerOf(pod, query.get('container')))}`, passed);
}

function place({ metadata }: Pod): string {
  return `${encodeURIComponent(metadata.namespace)}/${encodeURIComponent(metadata.name)}`;
}

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}
