/**
 * Values that are nearly always there at once, and now and then (a webhook has to be asked) come later. Going on in the same turn when they are there
 * keeps the path of most requests free of promises.
 */
export type NowOrLater<T> = T | Promise<T>;

export function isLater<T>(value: NowOrLater<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** Goes on with the value: at once if it is there. */
export function andThen<T, U>(value: NowOrLater<T>, next: (value: T) => NowOrLater<U>): NowOrLater<U> {
  return isLater(value) ? later(value, next) : next(value);
}

async function later<T, U>(value: Promise<T>, next: (value: T) => NowOrLater<U>): Promise<U> {
  return next(await value);
}

/** The first answer that is not undefined, asking one after the other and no further. */
export function firstOf<T, Q>(members: readonly Q[], ask: (member: Q) => NowOrLater<T | undefined>, from = 0): NowOrLater<T | undefined> {
  for (let i = from; i < members.length; i++) {
    const answer = ask(members[i] as Q);
    if (isLater(answer)) return answer.then((found) => found ?? firstOf(members, ask, i + 1));
    if (answer !== undefined) return answer;
  }
  return undefined;
}
