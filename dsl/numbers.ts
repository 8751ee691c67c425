// Numbers as people write them: `64`, `0.2`, `5e-3`, `200k`, `1M`. A value that would not be the one written
// (overflow, a whole number beyond 2^53, a fraction that becomes 0) is an error.

import { fail, type Span } from '../diagnostics.js';

const NUMBER = /^(\d+(?:\.\d+)?)(?:([eE][+-]?\d+)|([kM]))?$/;

const SLIPS: readonly (readonly [RegExp, string])[] = [
  [/^\.\d/, 'write a digit before the point: `0.5`'],
  [/\.$/, 'write a digit after the point: `1.0`'],
  [/_/, 'write it without `_`: `1000` or `1k`'],
  [/\dx\d*$/, 'a repeat follows a layer, with a space: `conv(64) x3`'],
  [/[KmGgbB]$/, 'the endings are `k` for thousand and `M` for million'],
];

export function numberValue(text: string, span: Span): number {
  const [, digits, exponent, ending] = NUMBER.exec(text) ?? notANumber(text, span);
  // Through decimal text, so that 2.3k is 2300 and not 2.3 * 1000 = 2299.9999999999995.
  const value = Number(digits + (ending ? (ending === 'k' ? 'e3' : 'e6') : (exponent ?? '')));
  const whole = /^\d+[kM]?$/.test(text);
  if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value))) {
    fail('this number is too large', { span, label: whole ? 'above 2^53, not exact' : 'above 1.8e308' });
  }
  if (value === 0 && /[1-9]/.test(digits!)) {
    fail('this number is too small', { span, label: 'this would become 0' });
  }
  return value;
}

function notANumber(text: string, span: Span): never {
  const slip = SLIPS.find(([pattern]) => pattern.test(text));
  const path = /[\w.]+$/.exec(span.source.text.slice(0, span.start))?.[0];
  fail(`\`${text}\` is not a number`, {
    span,
    help: path
      ? `a path with numbers is a string: \`"${path}${text}"\``
      : (slip?.[1] ?? 'write it like `64`, `0.2`, `5e-3`, `200k` or `1M`'),
  });
}
