// The restricted unpickler: a pickle is a program for a stack machine, and Python's would import and call anything
// it names. This one knows the opcodes that build plain data, and a table of constructors given by the caller; a
// global outside that table ends the reading. No opcode does more work than the bytes it consumes or the stack it
// empties, and their number is limited, so a hostile pickle can neither hang nor fill the memory.
// Protocols 0 to 5; opcodes as in Python's pickletools.

import { fail } from '../diagnostics.js';
import { type Cursor, decodeText } from './cursor.js';
import { quote } from './values.js';

/** Tuples and lists are both arrays; `Opaque` is what constructors and persistent ids stand for. */
export type Value = null | boolean | number | bigint | string | Value[] | Map<Value, Value> | Opaque;

export interface Opaque {
  readonly kind: string;
}

/** An allowed global, by its dotted name. */
export class Global implements Opaque {
  readonly kind = 'global';
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export interface Host {
  /** The allow-list. What a global builds when called, or null when it may be named but not called. */
  readonly globals: ReadonlyMap<string, ((args: readonly Value[]) => Value) | null>;
  /** What a persistent id stands for. */
  persistent(id: Value): Value;
}

/** Longest integer read; PyTorch's magic number has 10 bytes. */
const MAX_INTEGER_BYTES = 16;

/** A one-byte opcode can make a hundred-byte dict. A checkpoint takes about 60 opcodes a tensor. */
const MAX_OPCODES = 1_000_000;

/** Runs the pickle at the cursor and leaves the cursor behind its STOP. */
export function unpickle(cursor: Cursor, host: Host): Value {
  const machine: Machine = new Machine(cursor, host);
  for (let count = 0; count < MAX_OPCODES; count++) {
    const code = cursor.u8();
    if (code === STOP) return machine.pop();
    const run = OPCODES.get(code);
    if (!run) machine.damaged(`opcode 0x${code.toString(16)} is not one that builds plain data`);
    run(machine);
  }
  return machine.damaged(`more than ${MAX_OPCODES} opcodes`);
}

class Machine {
  readonly cursor: Cursor;
  readonly #host: Host;
  #stack: Value[] = [];
  /** The stacks below each open MARK. */
  readonly #below: Value[][] = [];
  readonly #memo = new Map<number, Value>();

  constructor(cursor: Cursor, host: Host) {
    this.cursor = cursor;
    this.#host = host;
  }

  push(value: Value): void {
    this.#stack.push(value);
  }

  pop(): Value {
    const value = this.#stack.pop();
    return value === undefined ? this.damaged('the stack is empty') : value;
  }

  peek(): Value {
    const value = this.#stack.at(-1);
    return value === undefined ? this.damaged('the stack is empty') : value;
  }

  mark(): void {
    this.#below.push(this.#stack);
    this.#stack = [];
  }

  popMark(): Value[] {
    const items = this.#stack;
    this.#stack = this.#below.pop() ?? this.damaged('no mark is open');
    return items;
  }

  popMany(count: number): Value[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  put(key: number): void {
    this.#memo.set(key, this.peek());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  get(key: number): void {
    const value = this.#memo.get(key);
    this.push(value === undefined ? this.damaged(`memo ${key} is not set`) : value);
  }

  global(module: Value, name: Value): void {
    if (typeof module !== 'string' || typeof name !== 'string') this.damaged('a global without a name');
    const path = `${module}.${name}`;
    if (!this.#host.globals.has(path)) {
      fail(`${this.cursor.name}: its pickle asks for ${quote(path)}, which is not plain weights`, {
        notes: [`nothing was run; only ${[...this.#host.globals.keys()].join(', ')} are understood`],
        help: 'in an environment you trust, load it in Python and save only the tensors: torch.save(net.state_dict(), "weights.pth")',
      });
    }
    this.push(new Global(path));
  }

  reduce(): void {
    const args = this.pop();
    const callee = this.pop();
    const construct = callee instanceof Global ? this.#host.globals.get(callee.name) : null;
    if (!construct || !Array.isArray(args)) this.damaged('it calls something that cannot be called');
    this.push(construct(args));
  }

  /** Attributes set on an object: state dicts carry `_metadata` that way. Nothing here reads attributes. */
  build(): void {
    this.pop();
    if (!(this.peek() instanceof Map)) this.damaged('it sets attributes of something other than a dict');
  }

  persistent(id: Value): void {
    this.push(this.#host.persistent(id));
  }

  append(items: readonly Value[]): void {
    const list = this.peek();
    if (!Array.isArray(list)) this.damaged('it appends to something other than a list');
    for (const item of items) list.push(item);
  }

  setItems(items: readonly Value[]): void {
    const dict = this.peek();
    if (!(dict instanceof Map)) this.damaged('it sets items of something other than a dict');
    this.fill(dict, items);
  }

  fill(dict: Map<Value, Value>, items: readonly Value[]): Map<Value, Value> {
    if (items.length % 2) this.damaged('a dict has a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i] ?? null, items[i + 1] ?? null);
    return dict;
  }

  text(length: number): void {
    this.push(decodeText(this.cursor.take(length)));
  }

  /** Little-endian two's complement. */
  long(length: number): void {
    if (length > MAX_INTEGER_BYTES) this.damaged(`an integer of ${length} bytes`);
    let value = 0n;
    for (const byte of [...this.cursor.take(length)].reverse()) value = (value << 8n) | BigInt(byte);
    this.push(shrink(BigInt.asIntN(length * 8, value)));
  }

  /** Protocol 0: decimal digits on a line; `01` and `00` are booleans. */
  decimal(): void {
    const line = this.cursor.line();
    if (line === '01' || line === '00') this.push(line === '01');
    else if (/^-?\d{1,30}L?$/.test(line)) this.push(shrink(BigInt(line.replace('L', ''))));
    else this.damaged(`${quote(line)} is not an integer`);
  }

  float(): void {
    const line = this.cursor.line();
    if (!/^[-+\d.einf]+$/.test(line)) this.damaged(`${quote(line)} is not a number`);
    this.push(Number(line));
  }

  damaged(note: string): never {
    fail(`${this.cursor.name}: its pickle is damaged`, {
      notes: [`${note}, at offset ${this.cursor.position}`],
      help: 'download it again',
    });
  }
}

function shrink(value: bigint): number | bigint {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

const STOP = 0x2e;

const OPCODES = new Map<number, (m: Machine) => void>([
  [0x80, (m) => m.cursor.u8()], // PROTO
  [0x95, (m) => m.cursor.u64()], // FRAME: only a hint for buffering
  // the stack
  [0x28, (m) => m.mark()], // MARK
  [0x30, (m) => m.pop()], // POP
  [0x31, (m) => m.popMark()], // POP_MARK
  [0x32, (m) => m.push(m.peek())], // DUP
  // constants
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x4a, (m) => m.push(m.cursor.i32())], // BININT
  [0x4b, (m) => m.push(m.cursor.u8())], // BININT1
  [0x4d, (m) => m.push(m.cursor.u16())], // BININT2
  [0x8a, (m) => m.long(m.cursor.u8())], // LONG1
  [0x8b, (m) => m.long(m.cursor.u32())], // LONG4
  [0x49, (m) => m.decimal()], // INT
  [0x4c, (m) => m.decimal()], // LONG
  [0x46, (m) => m.float()], // FLOAT
  [0x47, (m) => m.push(m.cursor.f64be())], // BINFLOAT
  [0x58, (m) => m.text(m.cursor.u32())], // BINUNICODE
  [0x8c, (m) => m.text(m.cursor.u8())], // SHORT_BINUNICODE
  [0x8d, (m) => m.text(m.cursor.u64())], // BINUNICODE8
  [0x54, (m) => m.text(m.cursor.u32())], // BINSTRING: names written by Python 2
  [0x55, (m) => m.text(m.cursor.u8())], // SHORT_BINSTRING
  [0x56, (m) => m.push(m.cursor.line())], // UNICODE
  // containers
  [0x29, (m) => m.push([])], // EMPTY_TUPLE
  [0x85, (m) => m.push(m.popMany(1))], // TUPLE1
  [0x86, (m) => m.push(m.popMany(2))], // TUPLE2
  [0x87, (m) => m.push(m.popMany(3))], // TUPLE3
  [0x74, (m) => m.push(m.popMark())], // TUPLE
  [0x5d, (m) => m.push([])], // EMPTY_LIST
  [0x6c, (m) => m.push(m.popMark())], // LIST
  [0x61, (m) => m.append([m.pop()])], // APPEND
  [0x65, (m) => m.append(m.popMark())], // APPENDS
  [0x7d, (m) => m.push(new Map())], // EMPTY_DICT
  [0x64, (m) => m.push(m.fill(new Map(), m.popMark()))], // DICT
  [0x73, (m) => m.setItems(m.popMany(2))], // SETITEM
  [0x75, (m) => m.setItems(m.popMark())], // SETITEMS
  // memo
  [0x70, (m) => m.put(Number(m.cursor.line()))], // PUT
  [0x71, (m) => m.put(m.cursor.u8())], // BINPUT
  [0x72, (m) => m.put(m.cursor.u32())], // LONG_BINPUT
  [0x94, (m) => m.memoize()], // MEMOIZE
  [0x67, (m) => m.get(Number(m.cursor.line()))], // GET
  [0x68, (m) => m.get(m.cursor.u8())], // BINGET
  [0x6a, (m) => m.get(m.cursor.u32())], // LONG_BINGET
  // objects
  [0x63, (m) => m.global(m.cursor.line(), m.cursor.line())], // GLOBAL
  [
    0x93, // STACK_GLOBAL
    (m) => {
      const name = m.pop();
      m.global(m.pop(), name);
    },
  ],
  [0x52, (m) => m.reduce()], // REDUCE
  [0x81, (m) => m.reduce()], // NEWOBJ
  [0x62, (m) => m.build()], // BUILD
  [0x50, (m) => m.persistent(m.cursor.line())], // PERSID
  [0x51, (m) => m.persistent(m.pop())], // BINPERSID
]);
