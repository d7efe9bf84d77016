/** A joined node on disk: `node.json` in its own data directory, beside which lie its certificates, logs, volumes and container runtime. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError, dataVersion, writeAtomically } from '../config.ts';
import { layoutOf } from '../layout.ts';
import type { NodeSettings } from '../node-settings.ts';

export interface NodeRecord {
  readonly dataVersion: number;
  readonly settings: NodeSettings;
}

function recordPath(dataDir: string): string {
  return join(dataDir, 'node.json');
}

function tokenPath(dataDir: string): string {
  return join(layoutOf(dataDir).pki, 'bootstrap-token');
}

function authorityPath(dataDir: string): string {
  return join(layoutOf(dataDir).pki, 'ca.crt');
}

export function isJoinedNode(dataDir: string): boolean {
  return existsSync(recordPath(dataDir));
}

/** What the node must know. Throws {@link ClusterError} when there is no node, or one of another version. */
export function readNode(dataDir: string): NodeSettings {
  let record: unknown;
  try {
    record = JSON.parse(readFileSync(recordPath(dataDir), 'utf8'));
  } catch (error) {
    throw new ClusterError(`${recordPath(dataDir)} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isRecord(record)) throw new ClusterError(`${recordPath(dataDir)} does not describe a node: remove ${dataDir} and join again`);
  if (record.dataVersion > dataVersion) throw new ClusterError(`${dataDir} was written by a newer k8ts: use that version, or join again`);
  return record.settings;
}

function isRecord(value: unknown): value is NodeRecord {
  if (typeof value !== 'object' || value === null || !('dataVersion' in value) || !('settings' in value)) return false;
  const { settings } = value;
  return (
    typeof value.dataVersion === 'number' && typeof settings === 'object' && settings !== null && 'nodeName' in settings && 'podNetwork' in settings
  );
}

/** PEM of whom the node trusts, and the token it asks for its first certificate with; that one goes once it was of use. */
export interface NodeTrust {
  readonly ca: string;
  readonly token: string | undefined;
}

export function writeNode(settings: NodeSettings, trust: NodeTrust): void {
  // Pods with users of their own have to come through to their files.
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o755 });
  mkdirSync(layoutOf(settings.dataDir).pki, { recursive: true, mode: 0o700 });
  writeAtomically(authorityPath(settings.dataDir), trust.ca);
  if (trust.token !== undefined) writeAtomically(tokenPath(settings.dataDir), trust.token, 0o600);
  const record: NodeRecord = { dataVersion, settings };
  writeAtomically(recordPath(settings.dataDir), `${JSON.stringify(record, undefined, 2)}\n`);
}

export function readTrust(dataDir: string): NodeTrust {
  const token = existsSync(tokenPath(dataDir)) ? readFileSync(tokenPath(dataDir), 'utf8').trim() : undefined;
  return { ca: readFileSync(authorityPath(dataDir), 'utf8'), token };
}

export function forgetToken(dataDir: string): void {
  rmSync(tokenPath(dataDir), { force: true });
}
