/** Newline-delimited JSON out of chunks that break anywhere: the framing of watch streams. */

const newline = 0x0a;

/** Decodes each line once it is whole; an unfinished last line is dropped, as the connection was. Throws when a line exceeds `maxBytes`. */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<unknown> {
  let parts: Uint8Array[] = [];
  let partBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end);
      start = end + 1;
      const line = parts.length === 0 ? piece : Buffer.concat([...parts, piece]);
      parts = [];
      partBytes = 0;
      if (line.length > 0) yield JSON.parse(asText(line));
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    partBytes += chunk.length - start;
    if (partBytes > maxBytes) throw new Error(`a line of the stream is longer than ${maxBytes} bytes`);
  }
}

function asText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
