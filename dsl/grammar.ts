// The grammar of `.sr` files, as Ohm text. It reads the layout that `scan.ts` prepares: comments, and line breaks that
// separate nothing, are blanks there already, so here a line break is a separator, just like `;`. A line goes on
// - inside parentheses,
// - when it ends in an operator, `,`, `=` or `->`,
// - when the next one begins with an operator, `->` or `:`,
// but never into a `}`, nor into a line that opens an item (`let`, `block`, …) outside all brackets.
//
// No word is reserved. An item's keyword counts only where an item begins, `stage` only where a setting could stand.
// `x3` and `x(n)` repeat only in layer position: right after a layer or a body. A statement cannot begin with one,
// which leaves `x` and `x2` free as labels, parameters and values.

import { type Grammar, grammar } from 'ohm-js';

const TEXT = String.raw`
Sr {
  File = Lines<Item> end
  Item = Let | Block | Network | Loss | Train | Blend

  Let       = word<"let"> name "=" Expr
  Block     = word<"block"> name Params? Body
  Network   = role name Params? Signature? Body -- body
            | role name Params? Signature? "=" Expr -- value
  role      = word<"generator"> | word<"discriminator"> | word<"perception">
  Signature = ":" Shape ("->" Shape)?
  Shape     = "(" Commas<Expr> ")"
  Loss      = word<"loss"> name Params? "=" Expr -- value
            | word<"loss"> name Params? "{" Lines<Player> "}" -- players
  Player    = name "=" Expr
  Train     = word<"train"> "{" Lines<Recipe> "}"
  Recipe    = Stage | Setting
  Stage     = word<"stage"> name "{" Lines<Setting> "}"
  Setting   = name ":" NonemptyListOf<Expr, ","> -- keyed
            | name Args -- bare
  Blend     = word<"blend"> name "=" Expr

  Params = "(" Commas<Param>? ")"
  Param  = name "=" Expr -- optional
         | name -- required

  // Repeats are read as often as written; parse.ts allows one, and only after a layer or a body.
  Body      = "{" Lines<Statement> "}"
  Statement = Label? Layer
  Label     = name "="
  Layer     = callee Args? Repeat* RepeatedBody? -- call
            | RepeatedBody -- sequence
            | Repeat+ -- nothing
  RepeatedBody = Body Repeat*
  Repeat    = times -- literal
            | word<"x"> "(" Expr ")" -- computed

  Args = "(" Commas<Arg>? ")"
  Arg  = name "=" Expr -- named
       | Expr -- positional

  // Chains are flat: they are folded into trees (left to right, powers right to left) by parse.ts.
  Expr     = Product (addOp Product)*
  Product  = Signed (mulOp Signed)*
  Signed   = "-"* Power
  Power    = Primary ("^" "-"* Primary)*
  Primary  = number -- number
           | string -- string
           | Call
           | Path
           | "(" Expr ")" -- group
           | "(" Commas<Expr> ")" -- tuple
  Call     = Path Args
  Path     = name ("." name)*
  addOp    = "+" | "-"
  mulOp    = "*" | "/"

  Lines<line>  = separator* ListOf<line, Separators> separator*
  Separators   = separator+
  Commas<item> = NonemptyListOf<item, ","> ","?

  // A word is refused at its first character, so that a failure never points into the middle of a name.
  word<text> = ~(text wordRest) text
  callee (a layer) = ~times ~(word<"x"> space* "(") name
  name (a name) = ("A".."Z" | "a".."z" | "_") wordRest*
  times (a repeat) = ~("x" digit+ wordRest) "x" digit+
  number (a number) = digit+ ("." digit+)? (exponent | "k" | "M")?
  exponent = ("e" | "E") ("+" | "-")? digit+
  string (a string) = "\"" (~"\"" any)* "\""
  wordRest = "A".."Z" | "a".."z" | "_" | digit
  separator (a new line) = "\n" | ";"
  space := " " | "\t"
}
`;

let built: Grammar | undefined;

/** Built at the first parse: that takes longer than many a command that parses nothing. */
export function sr(): Grammar {
  built ??= grammar(TEXT);
  return built;
}

/** The words that open an item. */
export const ITEM_KEYWORDS = [
  'let',
  'block',
  'generator',
  'discriminator',
  'perception',
  'loss',
  'train',
  'blend',
] as const;
