/** A patch that cannot be applied. `malformed` ones are a client's 400, `inapplicable` ones a 422, `too-large` a 413. */
export type PatchFault = 'malformed' | 'inapplicable' | 'too-large';

export class PatchError extends Error {
  override readonly name = 'PatchError';
  readonly fault: PatchFault;

  constructor(message: string, fault: PatchFault = 'inapplicable') {
    super(message);
    this.fault = fault;
  }
}
