/** Which addresses an endpoint may have: not those that mean this machine, this link, or nothing. Follows `ValidateEndpointIP`. */
import { invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { contains, parseCidr, tryParseIp, type Cidr } from '../../machinery/ip.ts';

const refused: readonly { readonly ranges: readonly Cidr[]; readonly why: string }[] = [
  { ranges: ['0.0.0.0/32', '::/128'].map(parseCidr), why: 'may not be unspecified (0.0.0.0 or ::)' },
  { ranges: ['127.0.0.0/8', '::1/128'].map(parseCidr), why: 'may not be in the loopback range (127.0.0.0/8, ::1/128)' },
  { ranges: ['169.254.0.0/16', 'fe80::/10'].map(parseCidr), why: 'may not be in the link-local range (169.254.0.0/16, fe80::/10)' },
  { ranges: ['224.0.0.0/24', 'ff02::/16'].map(parseCidr), why: 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)' },
];

/** Nothing for a text that is no address at all: that is another complaint. */
export function endpointAddress(field: string, text: string): FieldError[] {
  const address = tryParseIp(text);
  if (address === undefined) return [];
  return refused
    .filter(({ ranges }) => ranges.some((range) => range.address.family === address.family && contains(range, address)))
    .map(({ why }) => invalidValue(field, text, why));
}
