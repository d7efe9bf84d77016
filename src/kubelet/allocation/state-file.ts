/** What the state files of the managers have in common: `entries` by the pod's UID, then by container. Whatever else a file may hold is read as nothing. */

export function savedEntries(text: string): [string, unknown][] {
  try {
    return text === '' ? [] : entriesOf(JSON.parse(text).entries);
  } catch {
    return [];
  }
}

export function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
