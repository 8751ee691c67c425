// The syntax tree of a `.sr` file. Every node carries the span it was read from; nothing here is resolved yet:
// names are text, numbers are as written, a block and a loss are told apart only by the keyword that opened them.

import type { Source, Span } from '../diagnostics.js';

export interface File {
  readonly source: Source;
  readonly items: readonly Item[];
  /** `// …` comments in order, for the formatter. */
  readonly comments: readonly Comment[];
}

export interface Comment {
  readonly text: string;
  readonly span: Span;
}

export interface Name {
  readonly text: string;
  readonly span: Span;
}

export type Item = LetItem | BlockItem | NetworkItem | LossItem | TrainItem | BlendItem;

/** `let scale = 4` */
export interface LetItem {
  readonly kind: 'let';
  readonly name: Name;
  readonly value: Expr;
  readonly span: Span;
}

/** `block rdb(growth = 32, beta = 0.2) { … }` */
export interface BlockItem {
  readonly kind: 'block';
  readonly name: Name;
  readonly params: readonly ParamDef[];
  readonly body: Body;
  readonly span: Span;
}

/** `generator esrgan(features = 64) : (3, h, w) -> (3, 4*h, 4*w) { … }`, or `discriminator critic = vgg128(features = 64)`. */
export interface NetworkItem {
  readonly kind: 'network';
  readonly role: 'generator' | 'discriminator' | 'perception';
  readonly name: Name;
  readonly params: readonly ParamDef[];
  readonly signature?: Signature;
  /** Exactly one of `body` (braces) and `value` (after `=`). */
  readonly body?: Body;
  readonly value?: Expr;
  readonly span: Span;
}

/** `: (3, h, w) -> (3, 4*h, 4*w)`; channels first, the batch is implicit. */
export interface Signature {
  readonly input: readonly Expr[];
  readonly output?: readonly Expr[];
  readonly span: Span;
}

/** `loss l1 = …`, `loss perceptual(f, criterion = l1) = …`, or both players' objectives in braces. */
export interface LossItem {
  readonly kind: 'loss';
  readonly name: Name;
  readonly params: readonly ParamDef[];
  /** Exactly one of `value` and `players`. */
  readonly value?: Expr;
  readonly players?: readonly Setting[];
  readonly span: Span;
}

/** `train { degrade: bicubic(scale); stage psnr { … } }` */
export interface TrainItem {
  readonly kind: 'train';
  readonly settings: readonly Setting[];
  readonly stages: readonly Stage[];
  readonly span: Span;
}

export interface Stage {
  readonly name: Name;
  readonly settings: readonly Setting[];
  readonly span: Span;
}

/**
 * One line of a recipe. `patch: 128` and `augment: flip, rot90` have a key and values; a bare call such as
 * `adam(lr=2e-4)` has the call's name as key and the call itself as its only value, with `bare` set.
 * In a loss's braces, `generator = …` is a setting with one value.
 */
export interface Setting {
  readonly key: Name;
  readonly values: readonly Expr[];
  readonly bare: boolean;
  readonly span: Span;
}

/** `blend interpolated = 0.8 * gan + 0.2 * psnr` */
export interface BlendItem {
  readonly kind: 'blend';
  readonly name: Name;
  readonly value: Expr;
  readonly span: Span;
}

/** `growth = 32` in a parameter list; without a default the argument is required. */
export interface ParamDef {
  readonly name: Name;
  readonly default?: Expr;
  readonly span: Span;
}

export interface Body {
  readonly statements: readonly Statement[];
  readonly span: Span;
}

/**
 * `[label =] callee(args) [xN] [{ … }] [xN]`. No callee: a bare sequence `{ … }`. The repeat may stand before or
 * after the body (`dense x4 { … }`, `residual { … } x(blocks)`), once.
 */
export interface Statement {
  readonly label?: Name;
  readonly callee?: Name;
  /** Whether an argument list was written (`prelu` and `prelu()` mean the same and print differently). */
  readonly args?: readonly Arg[];
  readonly body?: Body;
  readonly repeat?: Repeat;
  readonly span: Span;
}

export interface Repeat {
  readonly count: Expr;
  readonly beforeBody: boolean;
  readonly span: Span;
}

export interface Arg {
  readonly name?: Name;
  readonly value: Expr;
  readonly span: Span;
}

export type Expr =
  | NumberExpr
  | StringExpr
  | RefExpr
  | CallExpr
  | MemberExpr
  | NegateExpr
  | BinaryExpr
  | TupleExpr;

/** `64`, `5e-3`, `200k`, `1M`; `text` is as written. */
export interface NumberExpr {
  readonly kind: 'number';
  readonly value: number;
  readonly text: string;
  readonly span: Span;
}

export interface StringExpr {
  readonly kind: 'string';
  readonly value: string;
  readonly span: Span;
}

export interface RefExpr {
  readonly kind: 'ref';
  readonly name: string;
  readonly span: Span;
}

/** `mean(abs(sr - hr))`, `critic(sr)`, `vgg.conv5_4(sr)`. */
export interface CallExpr {
  readonly kind: 'call';
  readonly callee: RefExpr | MemberExpr;
  readonly args: readonly Arg[];
  readonly span: Span;
}

/** `vgg.conv5_4` */
export interface MemberExpr {
  readonly kind: 'member';
  readonly object: RefExpr | MemberExpr;
  readonly member: Name;
  readonly span: Span;
}

export interface NegateExpr {
  readonly kind: 'negate';
  readonly value: Expr;
  readonly span: Span;
}

export interface BinaryExpr {
  readonly kind: 'binary';
  readonly op: '+' | '-' | '*' | '/' | '^';
  readonly left: Expr;
  readonly right: Expr;
  readonly span: Span;
}

export interface TupleExpr {
  readonly kind: 'tuple';
  readonly items: readonly Expr[];
  readonly span: Span;
}
