// What people and machines see while images are computed.

import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { printDuration } from '../../cli/human.js';
import { type RunEvent, reporter, secondsLeft } from '../../cli/progress.js';
import { UserError } from '../../diagnostics.js';

const progress = { event: 'progress', input: 'photos/cat.png', image: 2, of: 3, fraction: 0.426 } as const;
const EVENTS: readonly RunEvent[] = [
  { event: 'batch', images: 3, skipped: 1, ignored: 2 },
  { ...progress, secondsLeft: 65.4 },
  { event: 'failed', input: 'photos/dog.png', error: new UserError({ message: 'dog.png: broken' }) },
  {
    event: 'done',
    input: 'photos/cat.png',
    output: 'out/\x1b[31mcat.png',
    width: 8,
    height: 4,
    seconds: 12.3,
  },
  { event: 'end', of: 4, done: 2, failed: 1, skipped: 1, seconds: 75, interrupted: false },
  { event: 'end', of: 3, done: 2, failed: 0, skipped: 0, seconds: 75, interrupted: true },
  { event: 'end', of: 1, done: 0, failed: 0, skipped: 0, seconds: 75, interrupted: true },
  { event: 'end', of: 1, done: 1, failed: 0, skipped: 0, seconds: 75, interrupted: false },
];

/** What the events leave on both streams; `columns` makes stderr a terminal. */
function report(flags: { json?: boolean; quiet?: boolean }, columns?: number) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const terminal = columns === undefined ? stderr : Object.assign(stderr, { isTTY: true, columns });
  const io = { stdin: new PassThrough(), stdout, stderr: terminal, signal: new AbortController().signal };
  EVENTS.forEach(reporter(io, flags));
  return { out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

const LINES = [
  '3 images to do, 1 image already done (--overwrite does them again), 2 other files left alone\n',
  'error: dog.png: broken\n',
  'photos/cat.png -> out/?[31mcat.png  8x4, 12 s\n',
  '2 images, 1 failed, 1 done before in 1 min 15 s\n',
  'stopped after 2 images; the same command goes on from there\n',
  'stopped\n',
  '',
] as const;

test('plain lines, without progress that comes too soon', () => {
  expect(report({})).toEqual({ out: '', err: LINES.join('') });
});

test('a line that updates on a terminal, never wider than it', () => {
  const [first, ...others] = LINES.map((line) => `\r\x1b[K${line}`);
  const wide = '\r\x1b[K[2/3] photos/cat.png: 42%, 1 min 05 s left';
  const narrow = '\r\x1b[K[2/3] …cat.png: 42%, 1 min 05 s left';
  expect(report({}, 80)).toEqual({ out: '', err: [first, wide, ...others].join('') });
  expect(report({}, 37)).toEqual({ out: '', err: [first, narrow, ...others].join('') });
});

test('--quiet: failures', () => {
  expect(report({ quiet: true })).toEqual({ out: '', err: LINES[1] });
});

test('--json: every event, on stdout', () => {
  const { out, err } = report({ json: true });
  expect(err).toBe('');
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events).toEqual(
    EVENTS.map((event) =>
      event.event === 'failed'
        ? { event: 'failed', input: event.input, errors: [{ message: 'dog.png: broken' }] }
        : event,
    ),
  );
});

test('the time left: of this image, and of the ones to come at the average pace', () => {
  expect(secondsLeft(0.25, 2, [], 0)).toBe(6);
  expect(secondsLeft(0.25, 2, [4], 3)).toBe(6 + 3 * 6);
  expect(secondsLeft(0.001, 2, [], 0)).toBeUndefined();
  expect(secondsLeft(0.5, 0.1, [], 0)).toBeUndefined();
});

test('durations', () => {
  expect([0.04, 9.94, 9.96, 59.6, 200, 3900].map(printDuration)).toEqual([
    '0.0 s',
    '9.9 s',
    '10 s',
    '1 min 00 s',
    '3 min 20 s',
    '1 h 05 min',
  ]);
});
