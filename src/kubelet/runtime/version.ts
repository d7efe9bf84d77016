/** Versions of runtimes, as `Version` tells them: `1.6.20~ds1`, `v2.1.9+unknown`. */

/** Compares major and minor number. `wanted`: `2.1`. A version that says no numbers is older than any. */
export function atLeast(version: string, wanted: string): boolean {
  const [major, minor] = numbers(version);
  const [wantedMajor, wantedMinor] = numbers(wanted);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function numbers(text: string): [number, number] {
  const [, major = '-1', minor = '-1'] = /^v?(\d+)\.(\d+)/.exec(text) ?? [];
  return [Number(major), Number(minor)];
}
