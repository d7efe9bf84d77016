/**
 * `/logs/?query=...`: what a service of the node wrote, from the system's journal where it writes there and from its file in the log directory otherwise; or one
 * file by its path. On when `enableSystemLogQuery` is set. https://kubernetes.io/docs/concepts/cluster-administration/system-logs/#log-query
 */
import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { type FieldError, invalidValue, required, tooMany } from '../../machinery/field-error.ts';

export interface NodeLogQuery {
  readonly services: readonly string[];
  readonly files: readonly string[];
  readonly options: NodeLogOptions;
}

export interface NodeLogOptions {
  readonly sinceTime?: string;
  readonly untilTime?: string;
  readonly tailLines?: number;
  /** 0 for the present one, -1 for the one before. */
  readonly boot?: number;
  /** A Perl-compatible regular expression. */
  readonly pattern?: string;
}

const mostServices = 4;
const longestService = 256;
const mostTailLines = 100_000;
const journalDeadlineMs = 30_000;

/** Undefined when nothing of this kind is asked for. */
export function nodeLogQueryOf(query: URLSearchParams): NodeLogQuery | undefined {
  const asked = query.getAll('query');
  const text = (name: string): string | undefined => query.get(name) || undefined;
  const number = (name: string): number | undefined => (text(name) === undefined ? undefined : Number(text(name)));
  const [sinceTime, untilTime, pattern, tailLines, boot] = [
    text('sinceTime'),
    text('untilTime'),
    text('pattern'),
    number('tailLines'),
    number('boot'),
  ];
  const options: NodeLogOptions = {
    ...(sinceTime !== undefined && { sinceTime }),
    ...(untilTime !== undefined && { untilTime }),
    ...(tailLines !== undefined && { tailLines }),
    ...(boot !== undefined && { boot }),
    ...(pattern !== undefined && { pattern }),
  };
  if (asked.length === 0 && Object.keys(options).length === 0) return undefined;
  // A slash tells a file from a service.
  const isFile = (name: string): boolean => /[/\\]/.test(name);
  return { files: asked.filter(isFile), services: asked.filter((name) => !isFile(name) && name.trim() !== ''), options };
}

export function validateNodeLogQuery({ services, files, options }: NodeLogQuery): FieldError[] {
  const errors: FieldError[] = [];
  const { sinceTime, untilTime, tailLines, boot, pattern } = options;
  for (const service of services) {
    if (service.length > longestService) errors.push(invalidValue('query', service, `length must be less than ${longestService}`));
    else if (!/^[\w@-]+$/.test(service)) errors.push(invalidValue('query', service, 'input contains unsupported characters'));
  }
  if (services.length > mostServices) errors.push(tooMany('query', services.length, mostServices));
  if (services.length + files.length === 0) errors.push(required('query', 'cannot be empty with options'));
  else if (services.length > 0 && files.length > 0)
    errors.push(invalidValue('query', `${files.join()}, ${services.join()}`, 'cannot specify a file and service'));
  else if (files.length > 1) errors.push(invalidValue('query', files.join(), 'cannot specify more than one file'));
  else if (files.length === 1 && Object.keys(options).length > 0)
    errors.push(invalidValue('query', files.join(), 'cannot specify file with options'));
  for (const [name, time] of Object.entries({ sinceTime, untilTime })) {
    if (time !== undefined && Number.isNaN(Date.parse(time))) errors.push(invalidValue(name, time, 'invalid time format'));
  }
  if (sinceTime !== undefined && untilTime !== undefined && Date.parse(sinceTime) > Date.parse(untilTime)) {
    errors.push(invalidValue('untilTime', untilTime, 'must be after `sinceTime`'));
  }
  if (boot !== undefined && (!Number.isInteger(boot) || boot > 0)) errors.push(invalidValue('boot', boot, 'must be less than 1'));
  if (tailLines !== undefined && !(Number.isInteger(tailLines) && tailLines >= 0 && tailLines <= mostTailLines)) {
    errors.push(invalidValue('tailLines', tailLines, `must be between 0 and ${mostTailLines}, inclusive`));
  }
  if (pattern !== undefined && !isPattern(pattern)) errors.push(invalidValue('pattern', pattern, 'is no regular expression'));
  return errors;
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/** What services wrote, one after the other; what cannot be told of one is said in its place. */
export async function sendServiceLogs(root: string, { services, options }: NodeLogQuery, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'Content-Type': 'text/plain;charset=UTF-8' });
  const inJournal: string[] = [];
  const inFiles: string[] = [];
  for (const service of services) ((await writesToJournal(service)) ? inJournal : inFiles).push(service);
  if (inJournal.length > 0) await copyJournal(journalArguments(inJournal, options), response);
  if (inFiles.length > 0 && Object.keys(options).length > 0) {
    response.write(`\noptions present and query resolved to log files for [${inFiles.join(' ')}]\ntry without specifying options\n`);
  } else {
    for (const service of inFiles) await copyFile(root, service, response);
  }
  response.end();
}

const run = promisify(execFile);

async function writesToJournal(service: string): Promise<boolean> {
  try {
    const { stdout } = await run('journalctl', ['-u', service, '-q', '-n', '1', '--no-pager'], { timeout: journalDeadlineMs });
    return stdout !== '';
  } catch {
    return false;
  }
}

export function journalArguments(services: readonly string[], { sinceTime, untilTime, tailLines, boot, pattern }: NodeLogOptions): string[] {
  return [
    '--utc',
    '--no-pager',
    '--output=short-precise',
    ...(sinceTime === undefined ? [] : [`--since=${journalTime(sinceTime)}`]),
    ...(untilTime === undefined ? [] : [`--until=${journalTime(untilTime)}`]),
    ...(tailLines === undefined ? [] : ['--lines', String(tailLines)]),
    ...services.flatMap((service) => ['--unit', service]),
    ...(pattern === undefined ? [] : ['--grep', pattern]),
    ...(boot === undefined ? [] : ['--boot', String(boot)]),
  ];
}

function journalTime(time: string): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

async function copyJournal(words: readonly string[], response: ServerResponse): Promise<void> {
  const journal = spawn('journalctl', words, { stdio: ['ignore', 'pipe', 'pipe'], timeout: journalDeadlineMs });
  const stop = (): void => void journal.kill();
  response.once('close', stop);
  try {
    await Promise.all([journal.stdout, journal.stderr].map((output) => pipeline(output, response, { end: false })));
  } catch {
    if (!response.destroyed) response.write('\nerror: journal output not available\n');
  } finally {
    response.off('close', stop);
  }
}

/** `service`, `service.log` or `service/service.log`, whichever is there first. */
async function copyFile(root: string, service: string, response: ServerResponse): Promise<void> {
  for (const name of [service, `${service}.log`, `${service}/${service}.log`]) {
    const path = join(root, normalize(`/${name}`));
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() !== true) continue;
    await pipeline(createReadStream(path, { end: Math.max(0, found.size - 1) }), response, { end: false });
    return;
  }
  response.write(`\nlog not found for ${service}\n`);
}
