// Evaluates loss expressions into a graph. A loss is a value too: it can be passed (`perceptual(vgg.conv5_4, l1)`) and
// applied to two tensors, which then stand for `sr` and `hr`.

import { fail, internal, type Span } from '../diagnostics.js';
import { isSymbolic, sameDim } from '../runtime/dims.js';
import { Application, tapsOf } from './application.js';
import type { Arg, CallExpr, Expr, LossItem, MemberExpr, RefExpr } from './ast.js';
import { bind, declaredBy } from './binding.js';
import { toldAt } from './body.js';
import { arithmetic, FUNCTIONS, type Operand, printTensor, type TensorOperand } from './loss-functions.js';
import {
  type Criterion,
  deeper,
  type LossValue,
  type Mapping,
  type Objective,
  placeAt,
  type Scope,
} from './loss-objective.js';
import { type Found, find, namesOf } from './module.js';
import { imageType, printShape } from './signature.js';
import { didYouMean } from './suggest.js';
import { unknownName } from './values.js';

function evaluate(objective: Objective, scope: Scope, expr: Expr): LossValue {
  return deeper(objective, expr.span, () => evaluateParts(objective, scope, expr));
}

function evaluateParts(objective: Objective, scope: Scope, expr: Expr): LossValue {
  switch (expr.kind) {
    case 'number':
      return expr.value;
    case 'ref':
      return resolve(objective, scope, expr);
    case 'member':
      return tapOf(objective, scope, expr);
    case 'call':
      return call(objective, scope, expr);
    case 'negate':
      return arithmetic(placeAt(objective, expr.span), '*', operand(objective, scope, expr.value), -1);
    case 'binary':
      return arithmetic(
        placeAt(objective, expr.span),
        expr.op,
        operand(objective, scope, expr.left),
        operand(objective, scope, expr.right),
      );
    default:
      return fail('a loss is computed from numbers and images', { span: expr.span, label: 'not from this' });
  }
}

/** The value of `expr` as a number or tensor: a loss stands for its value on the current `sr` and `hr`. */
export function operand(objective: Objective, scope: Scope, expr: Expr): Operand {
  const value = evaluate(objective, scope, expr);
  if (!isFunction(value)) return value;
  if (value.kind === 'criterion') return force(objective, scope, value, expr.span);
  return fail(`\`${value.name}\` is a function of an image`, {
    span: expr.span,
    help: `apply it: \`${value.name}(sr)\``,
  });
}

function isFunction(value: LossValue): value is Mapping | Criterion {
  return typeof value === 'object' && 'kind' in value;
}

function resolve(
  { context }: Objective,
  { module, params, sr, hr }: Scope,
  { name, span }: RefExpr,
): LossValue {
  const param = params.get(name);
  if (param !== undefined) return param;
  if (name === 'sr' || name === 'hr') return { ref: name === 'sr' ? sr : hr };
  const constant = module.lets.get(name);
  if (typeof constant === 'number' || typeof constant === 'boolean') return constant;
  // Networks belong to the user's file: a library loss is given them.
  const def = module === context.module ? context.networks.get(name) : undefined;
  if (def?.role === 'generator') fail(`\`${name}\` is the generator`, { span, help: 'its output is `sr`' });
  if (def) return { kind: 'mapping', name, def };
  const loss = find(module, 'losses', name);
  if (loss) return { kind: 'criterion', ...loss };
  return unknownName(name, span, [
    ...params.keys(),
    ...context.networks.keys(),
    ...namesOf(module, 'losses'),
  ]);
}

/** The loss that `expr` names, if it does. */
export function lossNamed(objective: Objective, scope: Scope, expr: Expr): Criterion | undefined {
  const value = expr.kind === 'ref' ? resolve(objective, scope, expr) : 0;
  return isFunction(value) && value.kind === 'criterion' ? value : undefined;
}

function tapOf(objective: Objective, scope: Scope, { object, member, span }: MemberExpr): Mapping {
  const value = object.kind === 'ref' ? resolve(objective, scope, object) : tapOf(objective, scope, object);
  if (!isFunction(value) || value.kind !== 'mapping' || value.until !== undefined) {
    return fail('only a network has named values', { span: object.span, label: 'this is not a network' });
  }
  const taps = tapsOf(value.def);
  if (taps.includes(member.text))
    return { ...value, name: `${value.name}.${member.text}`, until: member.text };
  const near = didYouMean(member.text, taps);
  return fail(`\`${value.name}\` names no value \`${member.text}\``, {
    span,
    help: near
      ? `did you mean \`${value.name}.${near}\`?`
      : taps.length
        ? `it names ${taps.join(', ')}`
        : 'name one in its body',
  });
}

function call(objective: Objective, scope: Scope, expr: CallExpr): LossValue {
  const { callee, args, span } = expr;
  if (callee.kind === 'ref' && !scope.params.has(callee.name)) {
    const row = FUNCTIONS.get(callee.name);
    if (row)
      return row.apply(
        placeAt(objective, span),
        ...functionArgs(objective, scope, callee.name, row.params, args, span),
      );
  }
  const target = evaluate(objective, scope, callee);
  if (!isFunction(target)) return fail('this is not a function', { span: callee.span });
  if (target.kind === 'mapping') {
    const [x] = functionArgs(objective, scope, target.name, ['image'], args, span);
    return apply(objective, target, x!, span);
  }
  return applyCriterion(objective, scope, target, args, span);
}

/** Arguments of a builtin function or a network, in order; `params` ending in `?` may be left out. */
function functionArgs(
  objective: Objective,
  scope: Scope,
  name: string,
  params: readonly string[],
  args: readonly Arg[],
  span: Span,
): Operand[] {
  const declared = params.map((param) => ({ name: param.replace('?', ''), required: !param.endsWith('?') }));
  const bound = bind(name, declared, args, span);
  return declared.flatMap((param) => {
    const arg = bound.get(param.name);
    return arg ? [operand(objective, scope, arg)] : [];
  });
}

function apply(objective: Objective, { name, def, until }: Mapping, x: Operand, span: Span): TensorOperand {
  if (typeof x !== 'object') return fail(`\`${name}\` needs an image`, { span, label: `not ${x}` });
  const { lowering, applications } = objective;
  const type = lowering.builder.type(x.ref);
  const expected = imageType(def.input).shape;
  const fits =
    type.shape.length === 4 &&
    type.shape.every((dim, i) => isSymbolic(expected[i]!) || sameDim(dim, expected[i]!));
  if (!fits) {
    fail(`\`${name}\` takes ${printShape(def.input)}`, {
      span,
      label: `this is ${printTensor(type)}`,
    });
  }
  const key = `${def.name}(${x.ref})`;
  const application =
    applications.get(key) ??
    new Application(
      def,
      { ref: x.ref, type, origin: { inputOf: name } },
      { prefix: `${def.name}.`, training: def.role === 'discriminator' },
    );
  applications.set(key, application);
  return { ref: application.result(lowering, until).ref };
}

/** Two tensors stand for `sr` and `hr`; anything else binds the loss's own parameters. */
function applyCriterion(
  objective: Objective,
  scope: Scope,
  criterion: Criterion,
  args: readonly Arg[],
  span: Span,
): LossValue {
  const { module, item } = criterion;
  const name = item.name.text;
  if (criterion.args || item.params.every((param) => param.default)) {
    const values = args.map((arg) => evaluate(objective, scope, arg.value));
    const [sr, hr] = values;
    if (values.length === 2 && isTensor(sr) && isTensor(hr)) {
      return force(objective, { ...scope, sr: sr.ref, hr: hr.ref }, criterion, span);
    }
    if (criterion.args || values.some(isTensor) || args.length > item.params.length) {
      fail(`\`${name}\` is a loss: it compares two images`, { span, help: `write \`${name}(sr, hr)\`` });
    }
  }
  return { ...criterion, args: bindParams(objective, scope, { module, item }, args, span) };
}

function bindParams(
  objective: Objective,
  scope: Scope,
  { module, item }: Found<LossItem>,
  args: readonly Arg[],
  span: Span,
): ReadonlyMap<string, LossValue> {
  const exprs = bind(item.name.text, declaredBy(item.params), args, span);
  const params = new Map<string, LossValue>();
  for (const param of item.params) {
    const arg = exprs.get(param.name.text);
    const inside = { ...scope, module, params };
    params.set(
      param.name.text,
      arg ? evaluate(objective, scope, arg) : evaluate(objective, inside, param.default!),
    );
  }
  return params;
}

function isTensor(value: LossValue | undefined): value is TensorOperand {
  return typeof value === 'object' && 'ref' in value;
}

/** The value of a loss on the scope's `sr` and `hr`, of whose expression `evaluateIt` makes a number or tensor. */
export function force(
  objective: Objective,
  scope: Scope,
  criterion: Criterion,
  span: Span,
  evaluateIt = operand,
): Operand {
  const { module, item } = criterion;
  const name = item.name.text;
  const params = criterion.args ?? bindParams(objective, scope, criterion, [], span);
  const expr = item.value ?? playersExpr(objective, scope, { ...criterion, args: params }, span);
  // Without parameters there is nothing that could end it; with them, MAX_DEPTH does.
  if (item.params.length === 0 && objective.within.includes(item))
    fail(`loss \`${name}\` contains itself`, { span });
  objective.within.push(item);
  const inside = { module, params, sr: scope.sr, hr: scope.hr };
  const run = () => deeper(objective, span, () => evaluateIt(objective, inside, expr));
  const value = module === scope.module.library ? toldAt(span, name, run) : run();
  objective.within.pop();
  return value;
}

/** This player's objective. The generator's pass notes the loss, for the discriminator's pass to come back to. */
function playersExpr(objective: Objective, scope: Scope, criterion: Criterion, span: Span): Expr {
  const { item, args } = criterion;
  const name = item.name.text;
  if (scope.sr !== objective.sr || scope.hr !== objective.hr || [...(args?.values() ?? [])].some(isTensor)) {
    fail(`\`${name}\` has two players, so it must see \`sr\` and \`hr\` themselves`, {
      span,
      help: `write \`${name}(critic)\``,
    });
  }
  if (objective.player === 'generator') objective.adversarial.push(criterion);
  const setting = item.players?.find(({ key }) => key.text === objective.player);
  return setting?.values[0] ?? internal(`loss ${name} has no objective for the ${objective.player}`);
}
