/** Messages by their definition's name: which field number is which field. Parsed from the table when first asked for. */
import { messageFields } from './message-fields.ts';

export type MessageField =
  | {
      readonly type: 'field';
      readonly name: string;
      /** Sent only when set, so a zero is a value. Otherwise a zero means absent. */
      readonly zeroIsValue: boolean;
    }
  /** Its fields stand among the object's own. */
  | { readonly type: 'inline'; readonly message: string };

export type Message = ReadonlyMap<number, MessageField>;

const parsed = new Map<string, Message>();

const prefixes = /^io\.k8s\.(?:api|apimachinery\.pkg\.apis|kube-aggregator\.pkg\.apis)\./;

/** `core.v1.Pod` for `io.k8s.api.core.v1.Pod`; undefined for what has no protobuf form. */
export function messageOf(definition: string): Message | undefined {
  const name = definition.replace(prefixes, '');
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const words = messageFields[name];
  if (words === undefined) return undefined;
  const message = new Map(words === '' ? [] : words.split(' ').map((word) => parseWord(word)));
  parsed.set(name, message);
  return message;
}

function parseWord(word: string): readonly [number, MessageField] {
  const [name = '', number = ''] = word.split('=');
  if (name.startsWith('+')) return [Number(number), { type: 'inline', message: name.slice(1) }];
  const zeroIsValue = number.endsWith('!');
  return [Number(zeroIsValue ? number.slice(0, -1) : number), { type: 'field', name, zeroIsValue }];
}
