/** Rules for probes and lifecycle hooks. Follows `validateProbe` and `validateLifecycle`. */
import { at, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { httpHeaderNameErrors } from '../../machinery/names.ts';
import { messages, nonNegative, oneOf, portNumber, portNumberOrName, requiredOneOf } from '../field-checks.ts';
import type {
  V1ExecAction,
  V1GRPCAction,
  V1HTTPGetAction,
  V1Lifecycle,
  V1LifecycleHandler,
  V1Probe,
  V1SleepAction,
  V1TCPSocketAction,
} from '../types.ts';

export function validateProbe(field: string, probe: V1Probe): FieldError[] {
  return [
    ...validateHandler(field, probe),
    ...nonNegative(`${field}.initialDelaySeconds`, probe.initialDelaySeconds),
    ...nonNegative(`${field}.timeoutSeconds`, probe.timeoutSeconds),
    ...nonNegative(`${field}.periodSeconds`, probe.periodSeconds),
    ...nonNegative(`${field}.successThreshold`, probe.successThreshold),
    ...nonNegative(`${field}.failureThreshold`, probe.failureThreshold),
    ...(probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0
      ? [invalidValue(`${field}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must be greater than 0')]
      : []),
  ];
}

export function validateLifecycle(
  field: string,
  lifecycle: V1Lifecycle | undefined,
  graceSeconds: number | undefined,
  system: string | undefined,
): FieldError[] {
  const hooks: Record<string, V1LifecycleHandler | undefined> = { postStart: lifecycle?.postStart, preStop: lifecycle?.preStop };
  return [
    ...Object.entries(hooks).flatMap(([name, hook]) => (hook === undefined ? [] : validateHandler(`${field}.${name}`, hook, graceSeconds))),
    ...validateStopSignal(`${field}.stopSignal`, lifecycle?.stopSignal, system),
  ];
}

const windowsSignals = ['SIGKILL', 'SIGTERM'];
const linuxSignals: readonly string[] = [
  ...'SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT'.split(
    ' ',
  ),
  'SIGRTMAX',
  ...numbered('SIGRTMAX-', 14),
  'SIGRTMIN',
  ...numbered('SIGRTMIN+', 15),
  ...'SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ'.split(' '),
];

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index + 1}`);
}

/** Signals differ between systems: who names one says for which. */
function validateStopSignal(field: string, signal: string | undefined, system: string | undefined): FieldError[] {
  if (signal === undefined) return [];
  if (system === undefined || system === '') return [forbiddenField(field, 'may not be set for containers with empty `spec.os.name`')];
  return oneOf(field, signal, system === 'windows' ? windowsSignals : linuxSignals);
}

interface Handler {
  readonly exec?: V1ExecAction;
  readonly httpGet?: V1HTTPGetAction;
  readonly tcpSocket?: V1TCPSocketAction;
  readonly grpc?: V1GRPCAction;
  readonly sleep?: V1SleepAction;
}

/** Exactly one way to act. */
function validateHandler(field: string, { exec, httpGet, tcpSocket, grpc, sleep }: Handler, graceSeconds?: number): FieldError[] {
  const found: [keyof Handler, FieldError[]][] = [];
  if (exec !== undefined) found.push(['exec', (exec.command ?? []).length === 0 ? [required(`${field}.exec.command`)] : []]);
  if (httpGet !== undefined) found.push(['httpGet', validateHttpGet(`${field}.httpGet`, httpGet)]);
  if (tcpSocket !== undefined) found.push(['tcpSocket', portNumberOrName(`${field}.tcpSocket.port`, tcpSocket.port)]);
  if (grpc !== undefined) found.push(['grpc', portNumber(`${field}.grpc.port`, grpc.port)]);
  if (sleep !== undefined) found.push(['sleep', validateSleep(`${field}.sleep`, sleep, graceSeconds)]);
  const [first, ...others] = found;
  if (first === undefined) return [required(field, 'must specify a handler type')];
  return [...first[1], ...others.map(([name]) => forbiddenField(`${field}.${name}`, 'may not specify more than 1 handler type'))];
}

function validateHttpGet(field: string, { path = '', port, scheme, httpHeaders = [] }: V1HTTPGetAction): FieldError[] {
  return [
    ...(path === '' ? [required(`${field}.path`)] : []),
    ...portNumberOrName(`${field}.port`, port),
    ...requiredOneOf(`${field}.scheme`, scheme, ['HTTP', 'HTTPS']),
    ...httpHeaders.flatMap(({ name }, index) => messages(at(`${field}.httpHeaders`, index), name, httpHeaderNameErrors(name))),
  ];
}

function validateSleep(field: string, { seconds }: V1SleepAction, graceSeconds = 0): FieldError[] {
  if (seconds >= 0 && seconds <= graceSeconds) return [];
  return [invalidValue(field, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`)];
}
