/** What is never the same twice in what kubectl prints, replaced by words that are: ages, times, uids, versions, addresses, generated names, column widths. */

/** The letters that generated names are made of. */
const letters = '[bcdfghjklmnpqrstvwxz2456789]';

const replacements: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '<uid>'],
  [/\b[0-9a-f]{64}\b/g, '<digest>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, '<time>'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC/g, '<time>'],
  [/\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, '<time>'],
  [/^([EWI])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ /gm, '$1 '],
  // Whether the controller still saw what changed the endpoints is a race, there as here.
  [/(Annotations:\s+)endpoints\.kubernetes\.io\/last-change-trigger-time: <time>/g, '$1<none>'],
  [/(resource ?version"?:\s*"?)\d+/gi, '$1<version>'],
  [/\b(10|127|172|192)(\.\d{1,3}){3}\b(:\d{4,5})?/g, '<ip>'],
  [/(?<=[:\s])3[0-2]\d{3}(?=\/)/g, '<port>'],
  [/-[bcdf0-9][bcdfghjklmnpqrstvwxz0-9]{6,9}\b/g, '-<hash>'],
  [new RegExp(`-${letters}{5}\\b`, 'g'), '-<hash>'],
  [/-<hash>-<hash>/g, '-<hash>'],
  [/(?<=cpu: )(<unknown>|\d+%)(?=\/\d+%)/g, '<usage>'],
  [/(pod-template-hash=)[a-z0-9]+/g, '$1<hash>'],
];

/** Ages stand alone in a column; amounts of processor time look the same, but are said after what they are of. */
const age = /(?<=\s{2})(?<!cpu: +)((\d+d)?(\d+h)?(\d+m)?\d+s|\d+[dhm](\d+[hm])?)( \(x\d+ over \w+\))?(?=( ago)?(\s{2}|$))/gm;

/** `names` are words of this run alone, each with what stands for it. */
export function withoutVolatile(text: string, names: Readonly<Record<string, string>>): string[] {
  let plain = text;
  for (const [name, stand] of Object.entries(names)) plain = plain.replace(new RegExp(`(?<![\\w-])${RegExp.escape(name)}(?!\\w)`, 'g'), stand);
  for (const [pattern, word] of replacements) plain = plain.replace(pattern, word);
  const lines = plain.replace(age, '<age>').split('\n');
  while (lines.at(-1)?.trim() === '') lines.pop();
  return lines.map((line) => line.replace(/(?<=\S)(\s{2,}|\t)/g, '  ').trimEnd());
}
