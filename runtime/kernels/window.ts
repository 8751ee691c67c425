// Copies a rectangle between two tensors of different spatial sizes: how the tiled executor cuts tiles out of an
// image and puts results together.

import { mulDim, sym } from '../dims.js';
import type { KernelCall, View } from './kernel.js';
import { assemble, elementIndex, groupsOf, load, reads, store, writes } from './text.js';

const WORKGROUP = { x: 64, y: 2 };

/** The symbols to bind at launch, beside those of the two views: the origins in `x` and `y`, and the extent. */
export const WINDOW_SYMBOLS = ['src_y', 'src_x', 'dst_y', 'dst_x', 'rows', 'cols'] as const;

/** Both views have the same channels and batch; the rectangle must lie inside both. */
export function copyWindow({ x, y }: { x: View; y: View }): KernelCall {
  const groups = groupsOf(x.channels);
  const from = '(id.z * u.x_h + u.src_y + id.y) * u.x_w + u.src_x + column';
  const to = '(id.z * u.y_h + u.dst_y + id.y) * u.y_w + u.dst_x + column';
  return assemble({
    name: `window_${x.channels}`,
    uniforms: {
      x_h: x.dims[1],
      x_w: x.dims[2],
      y_h: y.dims[1],
      y_w: y.dims[2],
      ...Object.fromEntries(WINDOW_SYMBOLS.map((name) => [name, sym(name)])),
    },
    uses: [reads(x), writes(y)],
    width: 4,
    body: [
      `@compute @workgroup_size(${WORKGROUP.x}, ${WORKGROUP.y})`,
      'fn main(@builtin(global_invocation_id) id: vec3<u32>) {',
      `let column = id.x / ${groups}u; let group = id.x % ${groups}u;`,
      'if (column >= u.cols || id.y >= u.rows) { return; }',
      store(y, 4, elementIndex(y, 4, to, 'group'), load(x, 4, elementIndex(x, 4, from, 'group'))),
      '}',
    ],
    workgroups: [
      [{ dim: mulDim(sym('cols'), groups), per: WORKGROUP.x }],
      [{ dim: sym('rows'), per: WORKGROUP.y }],
      [{ dim: y.dims[0], per: 1 }],
    ],
  });
}
