// What a long command tells people while it works: on a terminal the last line changes in place and what is worth
// keeping scrolls up above it; elsewhere the same texts come as whole lines, now and then.

import { printable } from './human.js';
import type { Terminal } from './io.js';

export interface StatusLine {
  /** What is going on at this moment; made only when it will be seen. */
  show(text: () => string): void;
  /** A line, or several, to stay. */
  keep(text: string): void;
  /** Takes the changing line away. */
  end(): void;
}

const LINE_EVERY_MS = 100;
const PLAIN_EVERY_MS = 10_000;
const ERASE = '\r\x1b[K';

export function statusLine(stream: Terminal): StatusLine {
  const updating = stream.isTTY === true;
  let last = updating ? 0 : performance.now();
  const due = () => {
    const now = performance.now();
    if (now - last < (updating ? LINE_EVERY_MS : PLAIN_EVERY_MS)) return false;
    last = now;
    return true;
  };
  const erase = updating ? ERASE : '';
  return {
    show(text) {
      if (!due()) return;
      const line = printable(text());
      stream.write(updating ? erase + line.slice(0, (stream.columns || 80) - 1) : `${line}\n`);
    },
    keep(text) {
      stream.write(`${erase}${text.replace(/\n$/, '')}\n`);
    },
    end() {
      stream.write(erase);
    },
  };
}
