/** Settings that give namespaces numbers: `fast=2,slow=1`. The schema has checked the form. */
export function namedNumbers(text: string): Map<string, number> {
  const pairs = text === '' ? [] : text.split(',').map((pair) => pair.split('='));
  return new Map(pairs.map(([name, number]) => [name!, Number(number)]));
}
