/** A namespace's pod security policy, from its labels `pod-security.kubernetes.io/…`. https://kubernetes.io/docs/concepts/security/pod-security-admission/ */
import { at, type FieldError, invalidValue } from '../../../machinery/field-error.ts';

export type Level = 'privileged' | 'baseline' | 'restricted';
export type Mode = 'enforce' | 'audit' | 'warn';

/** A level as some minor release defined it. */
export interface LevelVersion {
  readonly level: Level;
  /** The minor release; infinite for the latest. */
  readonly minor: number;
}

export type Policy = Readonly<Record<Mode, LevelVersion>>;

const prefix = 'pod-security.kubernetes.io/';
export const modes: readonly Mode[] = ['enforce', 'audit', 'warn'];
const levels: readonly Level[] = ['privileged', 'baseline', 'restricted'];
const anything: LevelVersion = { level: 'privileged', minor: Infinity };
const noPolicy: Policy = { enforce: anything, audit: anything, warn: anything };

/** What cannot be read is taken as the strictest; `errors` says what it was. */
export function policyOf(labels: Readonly<Record<string, string>> | undefined): { readonly policy: Policy; readonly errors: readonly FieldError[] } {
  if (labels === undefined || !Object.keys(labels).some((label) => label.startsWith(prefix))) return { policy: noPolicy, errors: [] };
  const errors: FieldError[] = [];
  const modeOf = (mode: Mode): LevelVersion => {
    const [levelLabel, versionLabel] = [prefix + mode, `${prefix}${mode}-version`];
    const [levelText, versionText] = [labels[levelLabel], labels[versionLabel]];
    const level = levelText === undefined ? 'privileged' : levels.find((known) => known === levelText);
    if (level === undefined) errors.push(invalidValue(at('metadata.labels', levelLabel), levelText, `must be one of ${levels.join(', ')}`));
    const minor = versionText === undefined ? Infinity : minorOf(versionText);
    if (minor === undefined) errors.push(invalidValue(at('metadata.labels', versionLabel), versionText, 'must be "latest" or "v1.x"'));
    return { level: level ?? (mode === 'enforce' ? 'restricted' : 'privileged'), minor: minor ?? Infinity };
  };
  const policy = { enforce: modeOf('enforce'), audit: modeOf('audit'), warn: modeOf('warn') };
  return { policy, errors };
}

function minorOf(version: string): number | undefined {
  if (version === 'latest') return Infinity;
  const digits = /^v1\.([0-9]+)$/.exec(version)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** `restricted:latest`, `baseline:v1.25` */
export function policyText({ level, minor }: LevelVersion): string {
  return `${level}:${minor === Infinity ? 'latest' : `v1.${minor}`}`;
}
