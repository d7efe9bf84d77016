/** A mistake of the user's or a state of the machine, told in one plain sentence; the command ends with it and without a stack. */
export class ClusterError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ClusterError';
  }
}
