/** A selector nobody can evaluate; the message is upstream's, and becomes a client's 400. */
export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}
