/** Every object and part of an object, by the name the official client gives it. */
export type * from './generated/types.ts';
