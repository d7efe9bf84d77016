/**
 * A container runtime that only pretends: sandboxes and containers are records, and delays come from the world's clock. For tests, and for
 * clusters of thousands of nodes in one process. What a container does is told by its script (`simulated-script.ts`).
 */
import { Duplex } from 'node:stream';
import type { World } from '../../world/world.ts';
import type { ProbeNetwork } from './probe-network.ts';
import type {
  Container,
  ContainerConfig,
  ContainerRuntime,
  ContainerState,
  ContainerStatus,
  Mount,
  RuntimeCondition,
  RuntimeEvent,
  RuntimeStatus,
  Sandbox,
  SandboxConfig,
  SandboxStatus,
} from './runtime.ts';
import { addressPool } from './simulated-addresses.ts';
import { SimulatedImages } from './simulated-images.ts';
import { annotatedScript, logText, type SimulatedScript, type SimulatedScripts } from './simulated-script.ts';

export interface SimulatedRuntimeOptions {
  /** What runs from the start: the state of another simulated runtime. */
  readonly state?: SimulatedRuntimeState;
  /** Whether its network is ready only once it has been told the node's pod CIDR; it makes do with a range of its own when absent. */
  readonly needsPodCidr?: boolean;
  /** Whether `calls` are kept; true when absent. */
  readonly keepCalls?: boolean;
}

/** All that a simulated runtime holds, as plain data. */
export interface SimulatedRuntimeState {
  readonly sandboxes: readonly SandboxRecord[];
  readonly containers: readonly ContainerRecord[];
  readonly images: readonly string[];
  readonly podCidr: string | undefined;
}

export interface SimulatedRuntime extends ContainerRuntime {
  readonly probeNetwork: ProbeNetwork;
  /** What it holds now; delays under way are cut short. */
  state(): SimulatedRuntimeState;
  /** Every call that changes something, in order, as `verb name`: for tests. */
  readonly calls: readonly string[];
  /** Images that no registry has: pulling one fails as containerd words it. */
  readonly missingImages: Set<string>;
  /** Images already on the node; any other must be pulled first. */
  readonly localImages: Set<string>;
  /** Makes a running container exit now. */
  exit(containerId: string, exitCode: number, reason?: string): void;
  /** Kills a sandbox as a crash of its pause container would. */
  killSandbox(sandboxId: string): void;
  /** Whether `NetworkReady` holds; true at first. */
  setNetworkReady(ready: boolean): void;
  /** Drops the next events on the floor, as a lost connection to the runtime would. */
  setEventsLost(lost: boolean): void;
}

interface SandboxRecord {
  readonly id: string;
  readonly config: Pick<SandboxConfig, 'name' | 'namespace' | 'uid' | 'attempt' | 'labels' | 'annotations' | 'logDirectory'>;
  readonly createdAtMs: number;
  readonly ip: string;
  ready: boolean;
}

interface ContainerRecord {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: Pick<ContainerConfig, 'name' | 'attempt' | 'image' | 'labels' | 'annotations' | 'logPath' | 'mounts'>;
  readonly script: SimulatedScript;
  readonly createdAtMs: number;
  state: ContainerState;
  startedAtMs: number;
  finishedAtMs: number;
  exitCode: number;
  reason: string;
}

const noBytes = Buffer.alloc(0);
const noMounts: readonly Mount[] = [];

export function simulatedRuntime(world: World, scripts?: SimulatedScripts, options: SimulatedRuntimeOptions = {}): SimulatedRuntime {
  const { state, keepCalls = true, needsPodCidr = false } = options;
  const sandboxes = new Map(state?.sandboxes.map((sandbox) => [sandbox.id, { ...sandbox }]));
  const containers = new Map(state?.containers.map((container) => [container.id, { ...container }]));
  /** Told when the container has exited. */
  const waiting = new Map<string, (() => void)[]>();
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const closed = new AbortController();
  const calls: string[] = [];
  const images = new SimulatedImages(state?.images ?? []);
  let podCidr = state?.podCidr;
  const addresses = addressPool([...sandboxes.values()].filter(({ ready }) => ready).map(({ ip }) => ip));
  if (podCidr !== undefined) addresses.use(podCidr);
  let networkReady = true;
  let eventsLost = false;

  function emit(id: string, type: RuntimeEvent['type']): void {
    if (!eventsLost) for (const listener of listeners) listener({ id, type });
  }

  function called(what: string): void {
    if (keepCalls) calls.push(what);
  }

  function whenExited(containerId: string, told: () => void): void {
    const list = waiting.get(containerId);
    if (list) list.push(told);
    else waiting.set(containerId, [told]);
  }

  function newId(): string {
    // As long as a real one; bytes would be drawn from the system one by one.
    return `${world.random.uid()}${world.random.uid()}`.replaceAll('-', '');
  }

  async function delay(ms: number | undefined): Promise<void> {
    if (ms !== undefined && ms > 0) await world.clock.sleep(ms, closed.signal);
  }

  function sandboxOf(id: string): SandboxRecord {
    const sandbox = sandboxes.get(id);
    if (!sandbox) throw new Error(`rpc error: code = NotFound desc = an error occurred when try to find sandbox: not found`);
    return sandbox;
  }

  function containerOf(id: string): ContainerRecord {
    const container = containers.get(id);
    if (!container) throw new Error(`rpc error: code = NotFound desc = an error occurred when try to find container "${id}": not found`);
    return container;
  }

  function exit(container: ContainerRecord, exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error'): void {
    if (container.state !== 'running') return;
    container.state = 'exited';
    container.exitCode = exitCode;
    container.reason = reason;
    container.finishedAtMs = world.clock.now();
    const told = waiting.get(container.id);
    waiting.delete(container.id);
    for (const tell of told ?? []) tell();
    emit(container.id, 'exited');
  }

  function containerView({ id, sandboxId, config, state, createdAtMs }: ContainerRecord): Container {
    const { name, attempt, image: imageRef, labels, annotations } = config;
    return { id, sandboxId, name, attempt, image: images.nameOf(imageRef), imageRef, state, createdAtMs, labels, annotations };
  }

  function scriptFor(pod: SandboxConfig, container: ContainerConfig): SimulatedScript {
    const named = { ...container, image: images.nameOf(container.image) };
    return { ...annotatedScript(pod, container.name), ...scripts?.(pod, named) };
  }

  function healthy(container: ContainerRecord | undefined): boolean {
    if (container === undefined || container.state !== 'running') return false;
    const age = world.clock.now() - container.startedAtMs;
    return age >= (container.script.readyAfterMs ?? 0) && age < (container.script.unhealthyAfterMs ?? Number.POSITIVE_INFINITY);
  }

  /** Sets the alarm for the end that the container's script has, if it has one. */
  function runUntilItEnds(container: ContainerRecord): void {
    const { runTimeMs, exitCode = 0, exits = Number.POSITIVE_INFINITY } = container.script;
    if (runTimeMs === undefined || container.config.attempt >= exits) return;
    const timer = world.clock.after(container.startedAtMs + runTimeMs - world.clock.now(), () => exit(container, exitCode));
    whenExited(container.id, () => timer.cancel());
  }
  for (const container of containers.values()) if (container.state === 'running') runUntilItEnds(container);

  const probeNetwork: ProbeNetwork = {
    async http({ containerId }) {
      return healthy(containers.get(containerId)) ? { status: 200, body: 'ok' } : { status: 503, body: 'not healthy' };
    },
    async tcp({ containerId, host, port }) {
      if (!healthy(containers.get(containerId))) throw new Error(`dial tcp ${host}:${port}: connect: connection refused`);
    },
    async grpc({ containerId }) {
      return healthy(containers.get(containerId)) ? 'SERVING' : 'NOT_SERVING';
    },
  };

  return {
    probeNetwork,
    async keptLog(id) {
      const { state, script, startedAtMs, finishedAtMs } = containerOf(id);
      if (startedAtMs === 0) return '';
      return logText(script.logs, startedAtMs) + (state === 'exited' ? logText(script.message, finishedAtMs) : '');
    },
    calls,
    missingImages: images.missing,
    localImages: images.local,
    state: () => ({
      sandboxes: [...sandboxes.values()].map((sandbox) => ({ ...sandbox })),
      containers: [...containers.values()].map((container) => ({ ...container })),
      images: [...images.local],
      podCidr,
    }),
    exit: (id, exitCode, reason) => exit(containerOf(id), exitCode, reason),
    killSandbox(id) {
      const sandbox = sandboxOf(id);
      for (const container of containers.values()) if (container.sandboxId === id) exit(container, 137);
      sandbox.ready = false;
      emit(id, 'exited');
    },
    setNetworkReady: (ready) => void (networkReady = ready),
    setEventsLost: (lost) => void (eventsLost = lost),

    async version() {
      return { runtimeName: 'simulated', runtimeVersion: '1.0.0', runtimeApiVersion: 'v1' };
    },
    async status(): Promise<RuntimeStatus> {
      const network: RuntimeCondition =
        networkReady && (podCidr !== undefined || !needsPodCidr)
          ? { type: 'NetworkReady', status: true, reason: '', message: '' }
          : {
              type: 'NetworkReady',
              status: false,
              reason: 'NetworkPluginNotReady',
              message: 'Network plugin returns error: cni plugin not initialized',
            };
      const conditions = [{ type: 'RuntimeReady', status: true, reason: '', message: '' }, network];
      return { conditions, handlers: [], supplementalGroupsPolicy: false };
    },
    async updateRuntimeConfig(cidr) {
      podCidr = cidr;
      addresses.use(cidr);
    },

    async runPodSandbox(config) {
      called(`run-sandbox ${config.name}`);
      const id = newId();
      const ip = config.network === 'node' ? '' : addresses.take();
      const { name, namespace, uid, attempt, labels, annotations, logDirectory } = config;
      const kept = { name, namespace, uid, attempt, labels, annotations, logDirectory };
      sandboxes.set(id, { id, config: kept, createdAtMs: world.clock.now(), ip, ready: true });
      emit(id, 'started');
      return id;
    },
    async stopPodSandbox(id) {
      const sandbox = sandboxes.get(id);
      if (!sandbox?.ready) return;
      called(`stop-sandbox ${sandbox.config.name}`);
      for (const container of containers.values()) if (container.sandboxId === id) exit(container, 137);
      sandbox.ready = false;
      addresses.give(sandbox.ip);
      emit(id, 'exited');
    },
    async removePodSandbox(id) {
      const sandbox = sandboxes.get(id);
      if (!sandbox) return;
      called(`remove-sandbox ${sandbox.config.name}`);
      for (const container of containers.values()) {
        if (container.sandboxId !== id) continue;
        exit(container, 137);
        containers.delete(container.id);
      }
      if (sandbox.ready) addresses.give(sandbox.ip);
      sandboxes.delete(id);
      emit(id, 'removed');
    },
    async podSandboxStatus(id): Promise<SandboxStatus> {
      const sandbox = sandboxOf(id);
      return { ...sandboxView(sandbox), ips: sandbox.ip === '' ? [] : addresses.all(sandbox.ip) };
    },
    async listPodSandboxes() {
      return [...sandboxes.values()].map(sandboxView);
    },

    async createContainer(sandboxId, config, sandboxConfig) {
      const sandbox = sandboxOf(sandboxId);
      called(`create ${sandbox.config.name}/${config.name}#${config.attempt}`);
      const id = newId();
      containers.set(id, {
        id,
        sandboxId,
        config: keptOf(config),
        script: scriptFor(sandboxConfig, config),
        createdAtMs: world.clock.now(),
        state: 'created',
        startedAtMs: 0,
        finishedAtMs: 0,
        exitCode: 0,
        reason: '',
      });
      emit(id, 'created');
      return id;
    },
    async startContainer(id) {
      const container = containerOf(id);
      await delay(container.script.startDelayMs);
      if (container.state !== 'created') throw new Error(`container is in ${container.state} state`);
      called(`start ${sandboxOf(container.sandboxId).config.name}/${container.config.name}`);
      container.state = 'running';
      container.startedAtMs = world.clock.now();
      emit(id, 'started');
      runUntilItEnds(container);
    },
    async stopContainer(id, timeoutSeconds) {
      const container = containers.get(id);
      if (container?.state !== 'running') return;
      called(`stop ${sandboxOf(container.sandboxId).config.name}/${container.config.name}`);
      const stopMs = container.script.stopDelayMs ?? 0;
      const obeys = stopMs <= timeoutSeconds * 1000;
      const waitMs = obeys ? stopMs : timeoutSeconds * 1000;
      if (waitMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = world.clock.after(waitMs, resolve);
          const end = (): void => {
            timer.cancel();
            resolve();
          };
          whenExited(id, end);
        });
      }
      if (!closed.signal.aborted) exit(container, obeys ? 143 : 137);
    },
    async removeContainer(id) {
      const container = containers.get(id);
      if (!container) return;
      called(`remove ${container.config.name}#${container.config.attempt}`);
      exit(container, 137);
      containers.delete(id);
      emit(id, 'removed');
    },
    async listContainers() {
      return [...containers.values()].map(containerView);
    },
    async containerStatus(id): Promise<ContainerStatus> {
      const container = containerOf(id);
      const sandbox = sandboxOf(container.sandboxId);
      return {
        ...containerView(container),
        startedAtMs: container.startedAtMs,
        finishedAtMs: container.finishedAtMs,
        exitCode: container.exitCode,
        reason: container.reason,
        message: container.state === 'exited' ? (container.script.message ?? '') : '',
        logPath: `${sandbox.config.logDirectory}/${container.config.logPath}`,
        mounts: container.config.mounts,
      };
    },
    async updateContainerResources(id, { cpuShares = 0, cpuQuota = 0 }) {
      called(`update ${containerOf(id).config.name} cpu ${cpuShares} ${cpuQuota}`);
    },
    async reopenContainerLog(id) {
      containerOf(id);
    },
    async checkpointContainer() {
      throw new Error('rpc error: code = Unimplemented desc = a simulated container has no state to keep');
    },
    async execSync(id) {
      const ok = healthy(containerOf(id));
      return { stdout: noBytes, stderr: ok ? noBytes : Buffer.from('not healthy'), exitCode: ok ? 0 : 1 };
    },
    async exec() {
      throw new Error('a simulated container runs no commands');
    },
    async attach() {
      throw new Error('a simulated container has no streams to attach to');
    },
    async portForward() {
      return new Duplex({
        read() {
          this.push(null);
        },
        write(_chunk, _encoding, done) {
          done();
        },
      });
    },

    async containerStats() {
      return [...containers.values()]
        .filter((container) => container.state === 'running')
        .map((container) => ({
          containerId: container.id,
          labels: container.config.labels,
          timestampMs: world.clock.now(),
          cpuNanoseconds: (world.clock.now() - container.startedAtMs) * (container.script.cpuMillis ?? 0) * 1000,
          cpuNanoCores: (container.script.cpuMillis ?? 0) * 1_000_000,
          memoryWorkingSetBytes: container.script.memoryBytes ?? 0,
          writableLayerBytes: 0,
          writableLayerInodes: 0,
        }));
    },

    async pullImage(name, _auth, sandbox) {
      called(`pull ${name}`);
      await delay(sandbox === undefined ? undefined : annotatedScript(sandbox, '').pullDelayMs);
      return images.pull(name);
    },
    async imageStatus(name) {
      return images.find(name);
    },
    async listImages() {
      return images.list();
    },
    async removeImage(name) {
      images.local.delete(images.nameOf(name));
    },
    async imageFsUsage() {
      return { mountpoint: '/', usedBytes: images.local.size * 1_000_000, inodesUsed: images.local.size };
    },

    events(onEvent, signal) {
      if (signal.aborted) return;
      listeners.add(onEvent);
      signal.addEventListener('abort', () => listeners.delete(onEvent), { once: true });
    },
    close() {
      closed.abort(new Error('the simulated runtime was closed'));
      listeners.clear();
      // Alarms are taken back, and whoever waits for an end is let go.
      for (const told of waiting.values()) for (const tell of told) tell();
      waiting.clear();
    },
  };
}

function sandboxView({ id, config, createdAtMs, ready }: SandboxRecord): Sandbox {
  const { name, namespace, uid, attempt, labels, annotations } = config;
  return { id, name, namespace, uid, attempt, ready, createdAtMs, labels, annotations };
}

/** What is asked about later; the rest of a configuration (environments, above all, and where on the disk that is not there volumes lie) is not kept. */
function keptOf({ name, attempt, image, labels, annotations, logPath, mounts }: ContainerConfig): ContainerRecord['config'] {
  const remarkable = mounts.filter(({ recursiveReadOnly }) => recursiveReadOnly);
  return { name, attempt, image, labels, annotations, logPath, mounts: remarkable.length === 0 ? noMounts : remarkable };
}
