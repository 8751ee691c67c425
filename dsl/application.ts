// A network applied to one image, lowered no further than somebody asks: a loss that looks at five layers of a network
// lowers it once, up to the deepest.

import type { Ref } from '../compiler/graph.js';
import { internal } from '../diagnostics.js';
import { entering, type Frame, type Lowering, lowerBody, outermost, toldAt } from './body.js';
import type { NetworkDef } from './networks.js';
import { PathScope } from './paths.js';
import { isTensor, type TensorValue } from './values.js';

export interface Form {
  /** What the names of parameters begin with: empty, or ending in a dot. */
  readonly prefix: string;
  /** See Site. */
  readonly training: boolean;
}

export class Application {
  readonly #def: NetworkDef;
  readonly #frame: Frame;
  #value: TensorValue;
  /** How many of its statements are lowered. */
  #done = 0;

  constructor(def: NetworkDef, x: TensorValue, { prefix, training }: Form) {
    this.#def = def;
    this.#frame = outermost({
      module: def.module,
      env: new Map([...entering(x), ...def.env]),
      paths: new PathScope(prefix, def.body),
      training,
    });
    this.#value = x;
  }

  get network(): string {
    return this.#def.name;
  }

  /** The network's result, or the value that its body names `tap`. */
  result(lowering: Lowering, tap?: string): TensorValue {
    const { statements } = this.#def.body;
    if (tap === undefined) return this.#lower(lowering, statements.length);
    this.#lower(lowering, statements.findIndex(({ label }) => label?.text === tap) + 1);
    return this.#tapped(tap) ?? internal(`${this.#def.name} names no ${tap}`);
  }

  /** The named values lowered so far. */
  taps(): Readonly<Record<string, Ref>> {
    const taps = tapsOf(this.#def).flatMap((tap) => {
      const value = this.#tapped(tap);
      return value ? [[tap, value.ref]] : [];
    });
    return Object.fromEntries(taps);
  }

  #lower(lowering: Lowering, end: number): TensorValue {
    const { body, call, name } = this.#def;
    if (end <= this.#done) return this.#value;
    const rest = { ...body, statements: body.statements.slice(this.#done, end) };
    const run = () => lowerBody(lowering, this.#frame, rest, this.#value);
    this.#value = call ? toldAt(call, name, run) : run();
    this.#done = end;
    return this.#value;
  }

  #tapped(tap: string): TensorValue | undefined {
    const value = this.#frame.env.get(tap);
    return value !== undefined && isTensor(value) ? value : undefined;
  }
}

/** The names a network's body gives to values. */
export function tapsOf({ body }: NetworkDef): string[] {
  return body.statements.flatMap(({ label }) => label?.text ?? []);
}
