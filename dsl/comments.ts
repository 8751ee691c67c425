// Comments find their place in the formatted text by their place in the source: before the first thing that follows.

import type { Comment, File } from './ast.js';
import { type Doc, remark } from './doc.js';

/** Hands out a file's comments in order. Whoever prints must therefore print in the order of the source. */
export interface CommentQueue {
  /** The comments before the offset that nobody has taken yet. */
  takeBefore(offset: number): TakenComments;
}

export interface TakenComments {
  /** The one that shares its line with the code before it, if any; a line break must follow it. */
  readonly behind: Doc;
  /** Those that have lines of their own. */
  readonly alone: readonly Comment[];
}

export function commentQueue({ comments, source: { text } }: File): CommentQueue {
  let next = 0;
  return {
    takeBefore(offset) {
      const first = next;
      while (next < comments.length && comments[next]!.span.start < offset) next++;
      const alone = comments.slice(first, next);
      const head = alone[0];
      if (!head) return { behind: '', alone };
      const lineStart = text.lastIndexOf('\n', head.span.start) + 1;
      if (text.slice(lineStart, head.span.start).trim() === '') return { behind: '', alone };
      return { behind: remark(head.text, head.span.start - lineStart), alone: alone.slice(1) };
    },
  };
}
