// The grammar of `.sr` files once more, in Ohm: the reference that the parser is held against. It reads tokens with
// blanks between them, where a line break is left only where it separates.

import { grammar } from 'ohm-js';
import { scan } from '../../dsl/scan.js';

const SR = grammar(String.raw`
Sr {
  File = Lines<Item> end
  Item = Let | Block | Network | Loss | Train | Blend

  Let       = word<"let"> name "=" Expr
  Block     = word<"block"> blockName Params? Body
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

  Body      = "{" Lines<Statement> "}"
  Statement = Label? Layer
  Label     = name "="
  Layer     = callee Args? Repeat? RepeatedBody? -- call
            | RepeatedBody -- sequence
  RepeatedBody = Body Repeat?
  Repeat    = times -- literal
            | word<"x"> "(" Expr ")" -- computed

  Args = "(" Commas<Arg>? ")"
  Arg  = name "=" Expr -- named
       | Expr -- positional

  Expr     = Product (("+" | minus) Product)*
  Product  = Signed (("*" | "/") Signed)*
  Signed   = minus* Power
  Power    = Primary ("^" minus* Primary)*
  Primary  = number -- number
           | string -- string
           | Path Args -- call
           | Path -- path
           | "(" Expr ")" -- group
           | "(" Commas<Expr> ")" -- tuple
  Path     = name ("." name)*
  minus    = "-" ~">"

  Lines<line>  = separator* ListOf<line, Separators> separator*
  Separators   = separator+
  Commas<item> = NonemptyListOf<item, ","> ","?

  word<text> = ~(text wordRest) text
  callee     = ~times ~(word<"x"> space* "(") name
  blockName  = ~times ~word<"x"> name
  name       = ("A".."Z" | "a".."z" | "_") wordRest*
  times      = ~("x" digit+ wordRest) "x" digit+
  number     = digit+ ("." digit+)? (exponent | "k" | "M")?
  exponent   = ("e" | "E") ("+" | "-")? digit+
  string     = "\"" (~"\"" any)* "\""
  wordRest   = "A".."Z" | "a".."z" | "_" | digit
  separator  = "\n" | ";"
  space := " "
}
`);

/** Whether the grammar knows this text, whose tokens must be right. */
export function isInGrammar(text: string): boolean {
  const { tokens } = scan({ name: 'grammar.sr', text });
  return SR.match(tokens.map((token) => token.text).join(' ')).succeeded();
}
