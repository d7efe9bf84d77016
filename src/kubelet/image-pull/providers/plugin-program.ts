/** Runs a credential provider's program: one request on its standard input, one answer on its standard output. */
import { spawn } from 'node:child_process';
import type { World } from '../../../world/world.ts';

export interface PluginCall {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly input: string;
}

export type PluginProgram = (call: PluginCall) => Promise<string>;

/** Whoever takes longer is ended. */
const longestMs = 60_000;
const mostAnswerBytes = 2 ** 20;
/** Of what it complains about, so much is told. */
const mostComplaint = 1000;

export function pluginProgram({ clock }: World): PluginProgram {
  return ({ program, args, env, input }) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
      const answer: Buffer[] = [];
      let size = 0;
      let complaint = '';
      const bound = clock.after(longestMs, () => {
        child.kill('SIGKILL');
        reject(new Error(`${program} did not answer within ${longestMs / 1000} s`));
      });
      child.stdout.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= mostAnswerBytes) answer.push(chunk);
        else child.kill('SIGKILL');
      });
      child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(0, mostComplaint)));
      // It may end without reading what it is asked.
      child.stdin.on('error', () => {});
      child.stdin.end(input);
      child.on('error', (error) => {
        bound.cancel();
        reject(error);
      });
      child.on('close', (code, signal) => {
        bound.cancel();
        if (code === 0) resolve(Buffer.concat(answer).toString('utf8'));
        else reject(new Error(`${program} ended with ${signal ?? code}: ${complaint.trim()}`));
      });
    });
}
