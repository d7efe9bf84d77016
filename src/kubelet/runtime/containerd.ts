/**
 * A containerd of k8ts's own: the system's binary with its own root, state, socket and control group, so that the system's containers are never
 * touched and two clusters live side by side. It is started detached: it and its shims go on when k8ts ends or is killed, and the next start finds it.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, delimiter, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import type { World } from '../../world/world.ts';
import { gracePeriodAnnotation } from '../labels.ts';
import { containerdConfig, type ContainerdSettings } from './containerd-config.ts';
import { kill, killShims, removeControlGroup, unmountBelow } from './containerd-remains.ts';
import { criRuntime } from './cri.ts';
import { RuntimeError } from './cri-error.ts';
import type { ContainerRuntime } from './runtime.ts';

export interface ContainerdOptions {
  /** The node's data directory; containerd's own is `containerd` below it. */
  readonly dataDir: string;
  /** Tells clusters on one host apart: names the control group, and the socket's directory where the data directory's path is too long for one. */
  readonly clusterId: string;
  readonly world: World;
  /** What `k8ts.local/pause:1` is loaded as. */
  readonly sandboxImage: string;
  readonly cniConfDir: string;
  /** Where the plugins are; found in the usual places when absent. */
  readonly cniBinDir?: string;
  readonly signal?: AbortSignal;
}

export interface Containerd {
  readonly socket: string;
  readonly pid: number;
  /** It was running already. */
  readonly reused: boolean;
  /** Where pods' control groups belong (`SandboxConfig.cgroupParent` starts with it), so that `stop` finds them. */
  readonly controlGroup: string;
  readonly logFile: string;
}

/**
 * How what runs is ended. `in order`: containers are told, and get their grace. `quickly`: they are killed, and their network is taken apart. `at once`: as a
 * machine loses its power, nothing hears of it beforehand.
 */
export type StopManner = 'in order' | 'quickly' | 'at once';

/** Nobody waits for a container for longer than that when its node stops, whatever its pod allows. */
const longestGraceSeconds = 10;
const startTimeoutMs = 30_000;
const stopTimeoutMs = 5_000;
const pollMs = 5;
/** A socket's path has room for 107 bytes, and containerd adds `.ttrpc` to its own. */
const longestSocketPath = 101;
const largestLogBytes = 10 * 1024 * 1024;

export async function startContainerd(options: ContainerdOptions): Promise<Containerd> {
  const { world } = options;
  const places = placesOf(options);
  const settings: ContainerdSettings = {
    root: places.root,
    state: places.state,
    socket: places.socket,
    controlGroup: `${places.controlGroup}/containerd`,
    sandboxImage: options.sandboxImage,
    cniConfDir: options.cniConfDir,
    cniBinDir: options.cniBinDir ?? findCniBinDir(),
    registryConfigDirs: [join(places.directory, 'certs.d'), '/etc/containerd/certs.d'],
    restrictOomScoreAdj: !(await mayLowerOomScore()),
  };
  const config = containerdConfig(settings);
  const running = await runningPid(places);
  if (running !== undefined) {
    const unchanged = (await readFile(places.configFile, 'utf8').catch(() => '')) === config;
    if (unchanged && (await answers(places.socket))) {
      await untilReady(places.socket, running, options);
      return { ...described(places), pid: running, reused: true };
    }
    // Containers go on without it, and the new one takes over their shims.
    await endProcess(running, world);
  }
  await mkdir(places.state, { recursive: true, mode: 0o711 });
  await mkdir(places.root, { recursive: true, mode: 0o711 });
  await mkdir(places.socketDirectory, { recursive: true, mode: 0o711 });
  await mkdir(options.cniConfDir, { recursive: true });
  await writeFile(places.configFile, config);
  const pid = await launch(places);
  try {
    await untilReady(places.socket, pid, options);
  } catch (error) {
    await endProcess(pid, world);
    throw error;
  }
  return { ...described(places), pid, reused: false };
}

/**
 * Stops all pods, then containerd, and takes away what is left of either: processes, mounts, control groups, sockets. Images stay. It needs not be
 * running, nor have been started by this process.
 */
export async function stopContainerd(
  options: Pick<ContainerdOptions, 'dataDir' | 'clusterId' | 'world'>,
  how: StopManner = 'quickly',
): Promise<void> {
  const places = placesOf(options);
  const pid = await runningPid(places);
  if (pid !== undefined && how === 'at once') {
    kill(pid, 'SIGKILL');
  } else if (pid !== undefined) {
    if (await answers(places.socket)) await stopAllPods(places.socket, options.world, how === 'in order' ? longestGraceSeconds : 0);
    await endProcess(pid, options.world);
  }
  await killShims(places.socket);
  await removeControlGroup(places.controlGroup, options.world);
  await unmountBelow(places.state);
  await unmountBelow(places.root);
  await Promise.all([
    rm(places.state, { recursive: true, force: true }),
    rm(places.pidFile, { force: true }),
    rm(places.socket, { force: true }),
    rm(`${places.socket}.ttrpc`, { force: true }),
  ]);
  if (places.socketDirectory !== places.state) await rm(places.socketDirectory, { recursive: true, force: true });
}

/** Where the cluster's containerd listens, whether or not it runs. */
export function containerdSocket(options: Pick<ContainerdOptions, 'dataDir' | 'clusterId'>): string {
  return placesOf(options).socket;
}

/** Debian has them in one place, upstream's packages in the other. */
export function findCniBinDir(): string {
  const found = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'].find((directory) => existsSync(join(directory, 'bridge')));
  if (found === undefined) throw new Error('the CNI plugins are not installed: apt-get install containernetworking-plugins');
  return found;
}

interface Places {
  readonly directory: string;
  readonly root: string;
  readonly state: string;
  readonly socketDirectory: string;
  readonly socket: string;
  readonly configFile: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly controlGroup: string;
}

function placesOf({ dataDir, clusterId }: Pick<ContainerdOptions, 'dataDir' | 'clusterId'>): Places {
  const directory = join(dataDir, 'containerd');
  const state = join(directory, 'state');
  const name = 'containerd.sock';
  const socketDirectory = Buffer.byteLength(join(state, name)) <= longestSocketPath ? state : join('/run', `k8ts-${clusterId}`);
  return {
    directory,
    root: join(directory, 'root'),
    state,
    socketDirectory,
    socket: join(socketDirectory, name),
    configFile: join(directory, 'config.toml'),
    pidFile: join(directory, 'containerd.pid'),
    logFile: join(directory, 'containerd.log'),
    controlGroup: `/k8ts-${clusterId}`,
  };
}

function described({ socket, controlGroup, logFile }: Places): Pick<Containerd, 'socket' | 'controlGroup' | 'logFile'> {
  return { socket, controlGroup, logFile };
}

async function launch(places: Places): Promise<number> {
  const binary = findBinary('containerd');
  const size = (await stat(places.logFile).catch(() => undefined))?.size ?? 0;
  if (size > largestLogBytes) await rename(places.logFile, `${places.logFile}.1`);
  const log = await open(places.logFile, 'a');
  try {
    const child = spawn(binary, ['--config', places.configFile, '--log-level', 'error'], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, PATH: searchPath().join(delimiter) },
    });
    // What happens to it later shows on its socket, and in its log.
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new Error(`${binary} could not be started`);
    child.unref();
    await writeFile(places.pidFile, `${child.pid}\n`);
    return child.pid;
  } finally {
    await log.close();
  }
}

/** containerd tells no one that it is ready but by answering; CRI answers later than the socket does. */
async function untilReady(socket: string, pid: number, { world, dataDir, clusterId, signal }: ContainerdOptions): Promise<void> {
  const deadline = world.clock.now() + startTimeoutMs;
  const { logFile } = placesOf({ dataDir, clusterId });
  const wait = async (): Promise<void> => {
    if (!isAlive(pid)) throw new Error(`containerd ended while it started; its log, ${logFile}, ends with: ${await lastLines(logFile)}`);
    if (world.clock.now() > deadline) throw new Error(`containerd was not ready after ${startTimeoutMs / 1000} s; its log is ${logFile}`);
    await world.clock.sleep(pollMs, signal);
  };
  while (!(await answers(socket))) await wait();
  const runtime = criRuntime({ socket, world });
  try {
    for (let ready = false; !ready;) {
      ready = await runtime.version().then(
        () => true,
        async (error: unknown) => {
          // It answers but does not know CRI: the plugin could not be loaded, and will not be.
          if (error instanceof RuntimeError && error.code === status.UNIMPLEMENTED) throw new Error(`containerd: ${await lastLines(logFile)}`);
          return false;
        },
      );
      if (!ready) await wait();
    }
  } finally {
    runtime.close();
  }
}

async function stopAllPods(socket: string, world: World, graceSeconds: number): Promise<void> {
  const runtime = criRuntime({ socket, world });
  try {
    if (graceSeconds > 0) await stopContainers(runtime, graceSeconds);
    const sandboxes = await runtime.listPodSandboxes();
    await Promise.all(
      sandboxes.map(async ({ id }) => {
        await runtime.stopPodSandbox(id);
        await runtime.removePodSandbox(id);
      }),
    );
  } catch (error) {
    // The rest is taken away by force; only the pods' network is then left to the caller.
    world.log.warn('some pods could not be stopped by the runtime', { error: String(error) });
  } finally {
    runtime.close();
  }
}

/** Each in the time its pod allows, within bounds. One that cannot be stopped so is killed with its sandbox. */
async function stopContainers(runtime: ContainerRuntime, atMostSeconds: number): Promise<void> {
  const running = (await runtime.listContainers()).filter(({ state }) => state === 'running');
  await Promise.allSettled(
    running.map(({ id, annotations }) =>
      runtime.stopContainer(id, Math.min(Number(annotations[gracePeriodAnnotation] ?? atMostSeconds), atMostSeconds)),
    ),
  );
}

async function runningPid(places: Places): Promise<number | undefined> {
  // The number written down may be another program's by now, or may never have been written when the starter was killed.
  const written = Number.parseInt(await readFile(places.pidFile, 'utf8').catch(() => ''), 10);
  if (Number.isInteger(written) && (await isOurs(written, places))) return written;
  if (!existsSync(places.socket)) return undefined;
  for (const name of await readdir('/proc')) if (/^\d+$/.test(name) && (await isOurs(Number(name), places))) return Number(name);
  return undefined;
}

async function isOurs(pid: number, { configFile }: Places): Promise<boolean> {
  const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  return basename(command[0] ?? '') === 'containerd' && command.includes(configFile) && isAlive(pid);
}

async function endProcess(pid: number, world: World): Promise<void> {
  kill(pid, 'SIGTERM');
  const deadline = world.clock.now() + stopTimeoutMs;
  while (isAlive(pid)) {
    if (world.clock.now() > deadline) kill(pid, 'SIGKILL');
    await world.clock.sleep(pollMs);
  }
}

/** A zombie, as our own child is until Node has reaped it, counts as gone. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return processState(pid) !== 'Z';
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', () => resolve(false));
  });
}

/** Lowering a process's `oom_score_adj` takes CAP_SYS_RESOURCE, which root may lack in a container or a small virtual machine. */
async function mayLowerOomScore(): Promise<boolean> {
  const capSysResource = 24n;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> capSysResource) & 1n) === 1n;
}

function findBinary(name: string): string {
  const found = searchPath()
    .map((directory) => join(directory, name))
    .find(isExecutable);
  if (found === undefined) throw new Error(`${name} is not installed: apt-get install ${name}`);
  return found;
}

/** A service's PATH is often short; runc and the plugins' tools live in sbin. */
function searchPath(): string[] {
  const given = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  return [...new Set([...given, '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'])];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function lastLines(file: string): Promise<string> {
  return (await readFile(file, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-3).join('\n');
}

function processState(pid: number): string | undefined {
  try {
    // The name before it may hold anything, so what counts is behind its last parenthesis.
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return status.slice(status.lastIndexOf(')') + 2, status.lastIndexOf(')') + 3);
  } catch {
    return undefined;
  }
}
