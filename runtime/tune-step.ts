// A step of a plan alone on the device, to be run again and again: on tensors of the caller's making, in the layout that
// the plan gives them, with the copies that its kernel wants made before it.

import { uploadConstants } from './constant-buffers.js';
import type { Weights } from './constants.js';
import { evalDim, type Sizes } from './dims.js';
import { bufferBytes } from './memory.js';
import { createTextures, mirrorCopies, mirrorsOf, placeMirrors } from './mirrors.js';
import type { Work } from './pacer.js';
import { checkFeatures, type Pipelines } from './pipelines.js';
import type { Binding, Plan } from './plan.js';
import { prepare } from './step-launch.js';

export interface LoneStep {
  readonly work: readonly Work[];
  destroy(): void;
}

export interface LoneParts {
  readonly device: GPUDevice;
  readonly pipelines: Pipelines;
  /** Of one step: see `alone`. */
  readonly plan: Plan;
  readonly sizes: Sizes;
  readonly weights: Weights;
  /** The buffers that the step binds. */
  readonly tensors: ReadonlyMap<number, GPUBuffer>;
}

/** The plan of one step of `plan`, with what that needs. */
export function alone(plan: Plan, index: number): Plan {
  const step = plan.steps[index]!;
  const used = [...new Set(step.bindings.flatMap((bound) => ('constant' in bound ? [bound.constant] : [])))];
  const bindings = step.bindings.map(
    (bound): Binding => ('constant' in bound ? { constant: used.indexOf(bound.constant) } : bound),
  );
  return {
    ...plan,
    kernels: [plan.kernels[step.kernel]!],
    constants: used.map((constant) => plan.constants[constant]!),
    steps: [{ ...step, kernel: 0, bindings }],
  };
}

export async function openStep(parts: LoneParts): Promise<LoneStep> {
  const { device, pipelines, plan, sizes, weights, tensors } = parts;
  const [step, kernel] = [plan.steps[0]!, plan.kernels[0]!];
  checkFeatures(device, plan.kernels);
  const mirrors = placeMirrors(mirrorsOf(plan, { start: 0, end: 1 }, sizes));
  const owned: { destroy(): void }[] = [];
  const own = <Owned extends { destroy(): void }>(one: Owned): Owned => {
    owned.push(one);
    return one;
  };
  const destroy = () => {
    for (const one of owned) one.destroy();
  };
  try {
    const constants = own(await uploadConstants(device, plan, weights));
    const textures = (await createTextures(device, step.name, mirrors.textures)).map(own);
    const tensorOf = (buffer: number): Required<GPUBufferBinding> => {
      const size = bufferBytes(plan.buffers[buffer]!, sizes);
      return { buffer: tensors.get(buffer)!, offset: 0, size };
    };
    const copies: Work[] = [];
    const storage = step.bindings.map((bound, binding): GPUBindingResource => {
      if ('constant' in bound) return constants.resource(bound.constant, kernel.bindings[binding]!);
      const mirror = mirrors.steps.get(0)?.find((one) => one.binding === binding);
      if (!mirror) return tensorOf(bound.buffer);
      const texture = textures[mirror.texture]!;
      copies.push(...mirrorCopies(texture, tensorOf(bound.buffer)));
      return texture.createView();
    });
    const uniforms = step.uniforms.map((dim) => evalDim(dim, sizes));
    const [x, y, z] = step.workgroups.map((axis) =>
      axis.map(({ dim, per }) => ({ dim: evalDim(dim, sizes), per })),
    );
    const launch = { name: step.name, kernel, uniforms, workgroups: [x!, y!, z!], storage } as const;
    const launches = [{ ...launch, cost: 0, task: { step, sizes } }];
    const prepared = await prepare(device, pipelines, step.name, launches);
    own(prepared.uniforms);
    return { work: [...copies, ...prepared.commands], destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}
