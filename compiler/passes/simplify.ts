// Algebra for inference, on the unfused graph: batch norm and other per-channel affine maps folded into the conv before
// them, nearest-x2 + 3x3 conv rewritten as four 2x2 convs. All exact in real arithmetic.

import type { Node, Ref } from '../graph.js';
import type { Rule, RuleContext } from '../rewrite.js';

/** The conv that makes `ref`, when nothing else reads it. */
function soleConv(ref: Ref | undefined, context: RuleContext): Node | undefined {
  const node = ref === undefined ? undefined : context.def(ref);
  return node?.op === 'conv2d' && !node.attrs.epilogue && context.usedOnce(ref!) ? node : undefined;
}

/** `[C]` values known when weights are loaded. */
function isChannelConstant(ref: Ref | undefined, context: RuleContext): ref is Ref {
  return ref !== undefined && context.isConstant(ref) && context.type(ref).shape.length === 1;
}

/** conv(x, w) * s = conv(x, s*w); (conv(x, w) + b) * s = conv(x, s*w) + b*s. */
const foldScale: Rule = {
  name: 'fold-channel-scale',
  apply(node, context) {
    const [a, s] = node.inputs;
    if (node.op !== 'mul' || !isChannelConstant(s, context)) return undefined;
    const add = context.def(a!);
    const bias = add?.op === 'add' && context.usedOnce(a!) ? add.inputs[1] : undefined;
    const conv = soleConv(isChannelConstant(bias, context) ? add?.inputs[0] : a, context);
    if (!conv) return undefined;
    const weight = context.emit('scale_out', [conv.inputs[1]!, s], {}, node.loc);
    const scaled = context.emit('conv2d', [conv.inputs[0]!, weight], conv.attrs, conv.loc);
    if (!isChannelConstant(bias, context)) return scaled;
    return context.emit('add', [scaled, context.emit('mul', [bias, s], {}, node.loc)], {}, node.loc);
  },
};

/** (x + b) + c = x + (b + c) for two constants. */
const mergeBias: Rule = {
  name: 'merge-bias',
  apply(node, context) {
    const [a, c] = node.inputs;
    if (node.op !== 'add' || !isChannelConstant(c, context) || context.isConstant(a!)) return undefined;
    const inner = context.def(a!);
    const b = inner?.inputs[1];
    if (inner?.op !== 'add' || !context.usedOnce(a!) || !isChannelConstant(b, context)) return undefined;
    return context.emit('add', [inner.inputs[0]!, context.emit('add', [b, c], {}, node.loc)], {}, node.loc);
  },
};

/** 2.25 times fewer multiplications: each output phase sees only four distinct small pixels. */
const phaseUpsample: Rule = {
  name: 'phase-upsample',
  apply(node, context) {
    const [x, w] = node.inputs;
    const up = context.def(x ?? '');
    if (node.op !== 'conv2d' || node.attrs.phases || up?.op !== 'upsample_nearest' || up.attrs.factor !== 2)
      return undefined;
    const [, , kh, kw] = context.type(w!).shape;
    if (kh !== 3 || kw !== 3 || node.attrs.stride !== 1 || node.attrs.pad !== 1 || !context.isConstant(w!))
      return undefined;
    const weight = context.emit('phase_weight', [w!], {}, node.loc);
    return context.emit(
      'conv2d',
      [up.inputs[0]!, weight],
      { stride: 1, pad: 1, phases: 4, shift: 1 },
      node.loc,
    );
  },
};

export const foldAffine: readonly Rule[] = [foldScale, mergeBias];
export const phases: readonly Rule[] = [phaseUpsample];
