/** The organizations in the subject of a certificate request (PKCS #10, RFC 2986), read from its DER: no more of it matters to admission. */

/** One element of DER: where its content begins, and ends. */
interface Element {
  readonly start: number;
  readonly end: number;
}

/** The attribute type O, 2.5.4.10, as DER has it. */
const organization = Buffer.from([0x06, 0x03, 0x55, 0x04, 0x0a]);

/** The subject's O fields; none where the request cannot be read, which no signer will sign. `request` is base64 of PEM, as in the object. */
export function organizationsOf(request: string): string[] {
  const pem = Buffer.from(request, 'base64').toString('latin1');
  const body = /-----BEGIN CERTIFICATE REQUEST-----([^-]*)-----END/.exec(pem)?.[1];
  if (body === undefined) return [];
  const der = Buffer.from(body, 'base64');
  const info = elementAt(der, elementAt(der, 0)?.start);
  const version = elementAt(der, info?.start);
  const subject = elementAt(der, version?.end);
  if (!subject) return [];
  const found: string[] = [];
  for (let at = der.indexOf(organization, subject.start); at >= 0 && at < subject.end; at = der.indexOf(organization, at + 1)) {
    const value = elementAt(der, at + organization.length);
    if (value) found.push(der.toString('utf8', value.start, value.end));
  }
  return found;
}

function elementAt(der: Buffer, at: number | undefined): Element | undefined {
  if (at === undefined || at + 2 > der.length) return undefined;
  const first = der.readUInt8(at + 1);
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + lengthBytes;
  if (lengthBytes > 4 || start > der.length) return undefined;
  const length = lengthBytes === 0 ? first : der.readUIntBE(at + 2, lengthBytes);
  const end = start + length;
  return end > der.length ? undefined : { start, end };
}
