/**
 * Facts about nodes kept as columns: one typed array for each fact, one place in it for each node. A filter that runs over thousands of nodes then
 * reads numbers that lie beside each other, and never walks an object.
 */

/** How many places there are, and a number for each. Arrays are replaced when they grow: never keep one longer than a scheduling cycle. */
export class NumberColumn {
  values: Float64Array;

  constructor(capacity: number) {
    this.values = new Float64Array(capacity);
  }

  grow(capacity: number): void {
    const grown = new Float64Array(capacity);
    grown.set(this.values);
    this.values = grown;
  }
}

/** Whole numbers: ids of interned things, and counts. */
export class IntegerColumn {
  values: Int32Array;

  constructor(capacity: number) {
    this.values = new Int32Array(capacity);
  }

  grow(capacity: number): void {
    const grown = new Int32Array(capacity);
    grown.set(this.values);
    this.values = grown;
  }
}

/** Amounts by resource name: a column for each name that any node has or any pod asks for. */
export class AmountColumns {
  private readonly byName = new Map<string, NumberColumn>();
  private capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  column(name: string): Float64Array {
    return this.of(name).values;
  }

  add(place: number, amounts: ReadonlyMap<string, number>, sign: 1 | -1): void {
    for (const [name, amount] of amounts) {
      const { values } = this.of(name);
      values[place] = (values[place] ?? 0) + sign * amount;
    }
  }

  /** These amounts and no others. */
  set(place: number, amounts: ReadonlyMap<string, number>): void {
    for (const [name, { values }] of this.byName) values[place] = amounts.get(name) ?? 0;
    for (const [name, amount] of amounts) this.of(name).values[place] = amount;
  }

  at(place: number): Map<string, number> {
    const amounts = new Map<string, number>();
    for (const [name, { values }] of this.byName) if (values[place]) amounts.set(name, values[place]);
    return amounts;
  }

  grow(capacity: number): void {
    this.capacity = capacity;
    for (const column of this.byName.values()) column.grow(capacity);
  }

  private of(name: string): NumberColumn {
    let column = this.byName.get(name);
    if (column === undefined) {
      column = new NumberColumn(this.capacity);
      this.byName.set(name, column);
    }
    return column;
  }
}

/** Things given small numbers, by what they look like in text. 0 stands for "none" and is never given. */
export class Interner<T> {
  /** By id. */
  readonly things: (T | undefined)[] = [undefined];
  private readonly ids = new Map<string, number>();

  idOf(text: string, thing: () => T): number {
    let id = this.ids.get(text);
    if (id === undefined) {
      id = this.things.push(thing()) - 1;
      this.ids.set(text, id);
    }
    return id;
  }
}

/** One label's values over all nodes. Two nodes are in the same topology domain when their ids are equal and not 0. */
export class LabelColumn {
  readonly column: IntegerColumn;
  private readonly values = new Interner<string>();

  constructor(capacity: number) {
    this.column = new IntegerColumn(capacity);
  }

  set(place: number, value: string | undefined): void {
    this.column.values[place] = value === undefined ? 0 : this.values.idOf(value, () => value);
  }

  get ids(): Int32Array {
    return this.column.values;
  }

  /** One more than the highest id: how long an array of counts by id has to be. */
  get size(): number {
    return this.values.things.length;
  }

  valueOf(id: number): string | undefined {
    return this.values.things[id];
  }
}
