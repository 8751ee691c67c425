// Tensors in and out of the buffers of a plan, element by element: how kernels are checked against references.

import { evalDim, type Sizes } from '../runtime/dims.js';
import { roundUp } from '../runtime/kernels/kernel.js';
import type { Operand, Plan } from '../runtime/plan.js';
import type { Layout } from './layout.js';
import { type Tensor, zeros } from './tensor.js';

/** A value of a plan: its shape in numbers, and where and how it lies. */
export interface Located {
  readonly shape: readonly number[];
  readonly layout: Layout;
  readonly operand: Operand;
}

type Elements = Float32Array | Float64Array;

export function load(plan: Plan, value: Located, elements: Elements, sizes: Sizes): Tensor {
  const tensor = zeros(value.shape);
  visit(plan, value, sizes, (index, element) => {
    tensor.data[index] = elements[element]!;
  });
  return tensor;
}

/** As kernels do, with zeros in the padding. */
export function store(plan: Plan, value: Located, elements: Elements, sizes: Sizes, { data }: Tensor): void {
  const { layout, operand } = value;
  if (layout === 'image') {
    const channels = roundUp(operand.offset + operand.channels, 4) - operand.offset;
    const [n, , h, w] = value.shape as [number, number, number, number];
    const padded: Located = { ...value, shape: [n, channels, h, w] };
    visit(plan, padded, sizes, (_, element) => {
      elements[element] = 0;
    });
  } else {
    elements.fill(0);
  }
  visit(plan, value, sizes, (index, element) => {
    elements[element] = data[index]!;
  });
}

/** Visits every value, row-major, with its place in the buffer. */
function visit(
  plan: Plan,
  { shape, layout, operand: { buffer, offset } }: Located,
  sizes: Sizes,
  see: (index: number, element: number) => void,
): void {
  const { dims, stride } = plan.buffers[buffer]!;
  const [, height, width] = dims.map((dim) => evalDim(dim, sizes)) as [number, number, number];
  if (layout === 'weight') {
    const [kw, kh, inputs, outputs, parts = 1] = shape.toReversed() as [
      number,
      number,
      number,
      number,
      number?,
    ];
    const taps = kh * kw;
    let index = 0;
    for (let part = 0; part < parts; part++) {
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) {
          for (let tap = 0; tap < taps; tap++) {
            const block = (part * taps + tap) * height + Math.floor(i / 4);
            see(index++, (block * width + o) * 4 + (i % 4));
          }
        }
      }
    }
    return;
  }
  const [n, channels, h, w] =
    layout === 'image' ? (shape as [number, number, number, number]) : [1, shape[0] ?? 1, 1, 1];
  const plane = h * w;
  for (let index = 0; index < n * channels * plane; index++) {
    const [pixel, c, b] = [
      index % plane,
      Math.floor(index / plane) % channels,
      Math.floor(index / (plane * channels)),
    ];
    see(index, (b * plane + pixel) * stride + offset + c);
  }
}
