/** `extenders` of a `KubeSchedulerConfiguration`: servers that are asked over HTTP besides the plugins. */
import { type Arguments, ConfigurationError } from './arguments.ts';
import { parseDuration } from '../../machinery/duration.ts';

export interface ExtenderConfiguration {
  readonly urlPrefix: string;
  /** Paths below the prefix; empty for what the extender does not do. */
  readonly filterVerb: string;
  readonly prioritizeVerb: string;
  readonly bindVerb: string;
  readonly preemptVerb: string;
  readonly weight: number;
  readonly timeoutMs: number;
  /** Nodes are sent by name, not whole. */
  readonly nodeCacheCapable: boolean;
  /** Only pods that ask for one of these are its business; all when empty. */
  readonly managedResources: readonly { readonly name: string; readonly ignoredByScheduler: boolean }[];
  /** Its failure fails nothing. */
  readonly ignorable: boolean;
  readonly tls:
    | { readonly ca?: string; readonly certificate?: string; readonly key?: string; readonly insecure: boolean; readonly serverName?: string }
    | undefined;
}

const defaultTimeoutMs = 5_000;

export function readExtender(args: Arguments): ExtenderConfiguration {
  const urlPrefix = args.text('urlPrefix') ?? '';
  if (!URL.canParse(urlPrefix)) args.refuse('urlPrefix', 'must be a URL');
  const verb = (name: string): string => args.text(name) ?? '';
  const [filterVerb, prioritizeVerb, bindVerb, preemptVerb] = [verb('filterVerb'), verb('prioritizeVerb'), verb('bindVerb'), verb('preemptVerb')];
  const weight = args.whole('weight', 0, 2 ** 31 - 1) ?? 0;
  if (prioritizeVerb !== '' && weight === 0) args.refuse('weight', 'must have a positive weight applied to it');
  const https = args.truth('enableHTTPS') ?? false;
  const timeout = args.text('httpTimeout');
  const tlsConfig = args.object('tlsConfig');
  const configuration: ExtenderConfiguration = {
    urlPrefix: https ? urlPrefix.replace(/^http:/, 'https:') : urlPrefix,
    filterVerb,
    prioritizeVerb,
    bindVerb,
    preemptVerb,
    weight,
    timeoutMs: timeout === undefined ? defaultTimeoutMs : milliseconds(args, timeout),
    nodeCacheCapable: args.truth('nodeCacheCapable') ?? false,
    managedResources: (args.objects('managedResources') ?? []).map(readResource),
    ignorable: args.truth('ignorable') ?? false,
    tls: tlsConfig && readTls(tlsConfig),
  };
  args.done();
  return configuration;
}

function milliseconds(args: Arguments, text: string): number {
  try {
    return parseDuration(text);
  } catch {
    return args.refuse('httpTimeout', 'must be a duration, such as 5s');
  }
}

function readResource(one: Arguments): ExtenderConfiguration['managedResources'][number] {
  const name = one.text('name');
  if (name === undefined || !name.includes('/')) return one.refuse('name', 'is an invalid extended resource name');
  const ignoredByScheduler = one.truth('ignoredByScheduler') ?? false;
  one.done();
  return { name, ignoredByScheduler };
}

function readTls(args: Arguments): NonNullable<ExtenderConfiguration['tls']> {
  const pem = (name: string): string | undefined => {
    const data = args.text(name);
    return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8');
  };
  for (const file of ['certFile', 'keyFile', 'caFile']) {
    if (args.has(file)) throw new ConfigurationError(`${args.path}.${file}: Forbidden: give the data itself, as ${file.replace('File', 'Data')}`);
  }
  const [ca, certificate, key, serverName] = [pem('caData'), pem('certData'), pem('keyData'), args.text('serverName')];
  const insecure = args.truth('insecure') ?? false;
  args.done();
  return {
    insecure,
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { serverName }),
  };
}
