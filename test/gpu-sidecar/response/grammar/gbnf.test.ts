/** Does GBNF become the Lark that means the same? */

import { expect, test } from 'vitest';
import { isGbnf, larkOfGbnf } from '../../../../gpu-sidecar/response/grammar/gbnf.ts';

const cases: [string, string, string][] = [
  ['the root becomes the start', 'root ::= "a"', 'start: "a"'],
  [
    'rules keep their order, their names become small',
    'root ::= x-Y\nx-Y ::= "b"',
    'start: r_x_y\nr_x_y: "b"',
  ],
  ['classes become expressions', 'root ::= [a-z/]+ [^\\]"]{2,3}', 'start: /[a-z\\/]/+ /[^\\]"]/{2,3}'],
  ['groups and alternatives stay', 'root ::= ("a" | "b")* "c"?', 'start: ( "a" | "b" )* "c"?'],
  ['comments go', '# first\nroot ::= "#" # last', 'start: "#"'],
  ['a point is any character', 'root ::= .+', 'start: /(?s:.)/+'],
  ['escapes that JSON has not are written as it has them', 'root ::= "\\x41\\[\\n"', 'start: "\\u0041[\\n"'],
];

test.each(cases)('%s', (_, gbnf, lark) => {
  const rules = larkOfGbnf(gbnf, 'p').trim().split('\n');
  expect(rules.map((rule) => rule.trim().replaceAll(/ +/g, ' ')).join('\n')).toBe(lark);
});

test('Lark is not taken for GBNF', () => {
  expect(isGbnf('start: "a ::= b"')).toBe(false);
  expect(isGbnf('# a ::= b\nstart: /x/')).toBe(false);
  expect(isGbnf('# a comment\n\n  root ::= "a"')).toBe(true);
});

test('what cannot be read is refused with its line', () => {
  expect(() => larkOfGbnf('root ::= "a"\n  | $x', 'guided_grammar')).toThrow(
    expect.objectContaining({
      code: 'invalid_request',
      param: 'guided_grammar',
      message: expect.stringContaining('line 2: unexpected "$x"'),
    }),
  );
});
