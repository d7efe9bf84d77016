/** Options of the static CPU policy, as `cpuManagerPolicyOptions` names them; those that upstream has not found ready are refused. */

export interface CpuPolicyOptions {
  /** Only whole cores: no neighbour on the same core. */
  readonly wholeCores: boolean;
  /** Over as few nodes as will do, to each the same. */
  readonly spreadOverNodes: boolean;
  /** Reserved CPUs are not for those who share either. */
  readonly keepReserved: boolean;
  readonly alignByCache: boolean;
}

export const noCpuOptions: CpuPolicyOptions = { wholeCores: false, spreadOverNodes: false, keepReserved: false, alignByCache: false };

const ready: Readonly<Record<string, keyof CpuPolicyOptions>> = {
  'full-pcpus-only': 'wholeCores',
  'distribute-cpus-across-numa': 'spreadOverNodes',
  'strict-cpu-reservation': 'keepReserved',
  'prefer-align-cpus-by-uncorecache': 'alignByCache',
};
const alpha = ['align-by-socket', 'distribute-cpus-across-cores'];

/** Throws what is wrong with them, without the field's name. */
export function readCpuOptions(given: Readonly<Record<string, string>>): CpuPolicyOptions {
  const options: { -readonly [name in keyof CpuPolicyOptions]: boolean } = { ...noCpuOptions };
  for (const [name, value] of Object.entries(given)) {
    if (alpha.includes(name)) throw new Error(`CPU Manager Policy Alpha-level Options not enabled, but option "${name}" provided`);
    const option = ready[name];
    if (option === undefined) throw new Error(`unsupported cpumanager option: "${name}" (${value})`);
    options[option] = flag(name, value);
  }
  if (options.alignByCache && options.spreadOverNodes) {
    throw new Error('prefer-align-cpus-by-uncorecache and distribute-cpus-across-numa cannot be used at the same time');
  }
  return options;
}

function flag(name: string, value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw new Error(`bad value for option "${name}": ${JSON.stringify(value)} is neither true nor false`);
}
