/** The `format`s of strings that are checked, by name; any other says nothing. Follows `k8s.io/kube-openapi/pkg/validation/strfmt`. */
import { isIPv4, isIPv6 } from 'node:net';
import { dnsLabelErrors, dnsSubdomainErrors } from '../../machinery/names.ts';
import { normalTime } from '../../machinery/time.ts';

const isUuid = (version: string) => {
  const pattern = new RegExp(
    `^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?${version === '[0-9a-f]' || version === '3' ? '[0-9a-f]' : '[89ab]'}[0-9a-f]{3}-?[0-9a-f]{12}$`,
    'i',
  );
  return (text: string): boolean => pattern.test(text);
};

const matches =
  (pattern: RegExp) =>
  (text: string): boolean =>
    pattern.test(text);

/** Go's durations, and the words for units strfmt takes besides. */
const durationPattern =
  /^[+-]?(?:0|(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$|^\d+(?:\.\d+)?\s*(?:ns|nanos?|us|µs|micros?|ms|millis?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?)(?:\s|$)/;

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  date: (text) => normalTime(`${text}T00:00:00Z`, 0) !== undefined,
  'date-time': (text) => normalTime(text.replace(' ', 'T'), 0) !== undefined,
  datetime: (text) => normalTime(text.replace(' ', 'T'), 0) !== undefined,
  duration: matches(durationPattern),
  email: matches(/^[^\s@<>]+@[^\s@<>]+$/),
  hostname: matches(/^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i),
  ipv4: (text) => isIPv4(text),
  ipv6: (text) => isIPv6(text) && text.includes(':'),
  cidr: isCidr,
  mac: matches(/^(?:[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4})$/i),
  uri: isUri,
  uuid: isUuid('[0-9a-f]'),
  uuid3: isUuid('3'),
  uuid4: isUuid('4'),
  uuid5: isUuid('5'),
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  bsonobjectid: matches(/^[0-9a-f]{24}$/i),
  hexcolor: matches(/^#?(?:[0-9a-f]{3}|[0-9a-f]{6})$/i),
  rgbcolor: matches(/^rgb\(\s*(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\s*(?:,\s*(?:\d{1,2}|1\d\d|2[0-4]\d|25[0-5])\s*){2}\)$/),
  ssn: matches(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/),
  'k8s-short-name': (text) => dnsLabelErrors(text).length === 0,
  'k8s-long-name': (text) => dnsSubdomainErrors(text).length === 0,
};

/** True also for formats nobody knows. */
export function hasFormat(text: string, format: string): boolean {
  return !Object.hasOwn(checks, format) || (checks[format]?.(text) ?? true);
}

function isCidr(text: string): boolean {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  if (match === null) return false;
  const [, address = '', bits = ''] = match;
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128);
}

/** Absolute, or a path from the root: Go's `url.ParseRequestURI`. */
function isUri(text: string): boolean {
  return text.startsWith('/') ? !/\s/.test(text) : URL.canParse(text);
}
