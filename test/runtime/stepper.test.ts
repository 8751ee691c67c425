// Training steps on this machine's device, on plans written by hand: what is updated and what is not, in which order
// losses come, and that a run taken up again gives the same bits.

import { expect, test } from 'vitest';
import type { UserError } from '../../diagnostics.js';
import { openDevice } from '../../runtime/node.js';
import type { StepPlan } from '../../runtime/plan.js';
import {
  type Inputs,
  type Kind,
  type Outcome,
  Stepper,
  type StepperOptions,
  stepMemory,
} from '../../runtime/stepper.js';
import { noisy } from '../kernels/tensors.js';
import { describeOnDevice, precisions } from '../on-device.js';
import { input, Sketch, TENSORS, type Tensor, toyStep } from './step-plans.js';

const RATES = { g: 1e-2, d: 1e-3 };
const ADAM = { g: { betas: [0.9, 0.99], eps: 1e-8 }, d: { betas: [0.5, 0.999], eps: 1e-6 } } as const;
const TRAINED = TENSORS.filter(({ trained }) => trained);
const KINDS: readonly Kind[] = ['value', 'moment1', 'moment2', 'average'];

type Tensors = Map<string, Float32Array>;

function tensors(seed: number, of: readonly Tensor[] = TENSORS): Tensors {
  return new Map(of.map(({ name, shape }, i) => [name, noisy(sizeOf(shape), 100 * seed + i)]));
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

const WEIGHTS = tensors(1);

/** The gradients of batch `k`, row-major. */
function gradients(k: number): Tensors {
  return tensors(10 + k, TRAINED);
}

function inputsOf(values: Tensors): Inputs {
  return Object.fromEntries(
    TRAINED.map((tensor) => [`d${tensor.name}`, input(tensor, values.get(tensor.name)!)]),
  );
}

function batch(k: number): Inputs {
  return inputsOf(gradients(k));
}

/** A batch with one gradient that is no number. */
function badBatch(k: number, value = Number.NaN): Inputs {
  return inputsOf(gradients(k).set('g.bias', Float32Array.of(1, 2, value, 3, 4)));
}

interface Report {
  readonly t: number;
  readonly values: Float32Array;
  readonly norms: Readonly<Record<string, number>>;
  readonly outcome: Outcome;
}

/** What Adam, clipping, the mean over batches and the average make of `WEIGHTS`, in f64. */
function reference(steps: readonly (readonly Tensors[])[], { clip = Infinity, decay = 1 }) {
  const state = new Map(
    TRAINED.map(({ name, shape }) => {
      const value = Float64Array.from(WEIGHTS.get(name)!);
      const [moment1, moment2] = [new Float64Array(sizeOf(shape)), new Float64Array(sizeOf(shape))];
      return [name, { value, moment1, moment2, average: Float64Array.from(value) }];
    }),
  );
  const norms = steps.map((batches, k) => {
    const means = new Map(
      TRAINED.map(({ name }) => {
        const all = batches.map((values) => values.get(name)!);
        return [name, Float64Array.from(all[0]!, (_, i) => all.reduce((a, b) => a + b[i]!, 0) / all.length)];
      }),
    );
    const normOf = (network: string) => {
      const squares = TRAINED.filter((tensor) => tensor.network === network).flatMap(({ name }) =>
        [...means.get(name)!].map((value) => value ** 2),
      );
      return Math.sqrt(squares.reduce((a, b) => a + b));
    };
    const norm = { g: normOf('g'), d: normOf('d') };
    for (const { name, network } of TRAINED) {
      const { betas, eps } = ADAM[network as 'g' | 'd'];
      const { value, moment1, moment2, average } = state.get(name)!;
      const factor = Math.min(1, clip / (norm[network as 'g' | 'd'] + 1e-6));
      const rate = RATES[network as 'g' | 'd'] / (1 - betas[0] ** (k + 1));
      means.get(name)!.forEach((mean, i) => {
        const g = mean * factor;
        moment1[i] = betas[0] * moment1[i]! + (1 - betas[0]) * g;
        moment2[i] = betas[1] * moment2[i]! + (1 - betas[1]) * g * g;
        value[i]! -= (rate * moment1[i]!) / (Math.sqrt(moment2[i]! / (1 - betas[1] ** (k + 1))) + eps);
        if (network === 'g') average[i] = decay * average[i]! + (1 - decay) * value[i]!;
      });
    }
    return norm;
  });
  return { state, norms };
}

describeOnDevice('stepper', ({ gpu, description }) => {
  async function using<T>(
    {
      plan = toyStep(),
      device = gpu,
      ...options
    }: Partial<StepperOptions> & { plan?: StepPlan; device?: GPUDevice },
    use: (stepper: Stepper, reports: readonly Report[]) => Promise<T>,
  ): Promise<T> {
    const reports: Report[] = [];
    const stepper = await Stepper.open(device, plan, WEIGHTS, {
      adam: ADAM,
      ...options,
      onLosses: (t, values, norms, outcome) => reports.push({ t, values, norms, outcome }),
    });
    try {
      return await use(stepper, reports);
    } finally {
      await stepper.close();
    }
  }

  /** Steps `from`, `from` + 1, … with these batches. */
  function run(stepper: Stepper, from: number, batches: readonly Inputs[]): Promise<unknown> {
    return Promise.all(
      batches.map((inputs, i) => stepper.step({ t: from + i, rates: RATES, inputs: [inputs] })),
    );
  }

  async function everything(stepper: Stepper, kinds = KINDS) {
    const read = await Promise.all(kinds.map((kind) => stepper.read(kind)));
    return new Map(kinds.map((kind, i) => [kind, read[i]!]));
  }

  function disguised(members: Readonly<Record<string, unknown>>): GPUDevice {
    return new Proxy(gpu, {
      get(target, key) {
        const value = Object.hasOwn(members, key) ? members[String(key)] : Reflect.get(target, key);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  const expectClose = (actual: Float32Array, expected: Float64Array) =>
    actual.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6 * Math.max(1, Math.abs(expected[i]!)));
    });

  test.each([
    ['alone', {}],
    ['clipped and averaged', { clip: 2, average: { network: 'g', decay: 0.9 } }],
    ['over three batches', { accumulate: 3, clip: 2, average: { network: 'g', decay: 0.9 } }],
  ])('20 steps are those of torch.optim.Adam: %s', async (_, options: Partial<StepperOptions>) => {
    const { accumulate = 1, average } = options;
    const steps = Array.from({ length: 20 }, (_, step) =>
      Array.from({ length: accumulate }, (_, i) => gradients(accumulate * step + i)),
    );
    const expected = reference(steps, { ...options, ...(average && { decay: average.decay }) });
    await using(options, async (stepper, reports) => {
      for (const [i, batches] of steps.entries()) {
        await stepper.step({ t: i + 1, rates: RATES, inputs: batches.map(inputsOf) });
      }
      const found = await everything(stepper, KINDS.slice(0, average ? 4 : 3));
      for (const [kind, values] of found) {
        for (const { name, network } of TRAINED) {
          if (kind === 'average' && network !== 'g') expect(values.has(name)).toBe(false);
          else expectClose(values.get(name)!, expected.state.get(name)![kind as 'value']);
        }
      }
      expect(reports.map(({ t }) => t)).toEqual(steps.map((_, i) => i + 1));
      for (const [i, { norms, outcome, values }] of reports.entries()) {
        expect(outcome).toBe('updated');
        expect(norms.g).toBeCloseTo(expected.norms[i]!.g, 5);
        expect(norms.d).toBeCloseTo(expected.norms[i]!.d, 5);
        const gains = steps[i]!.map((batch) => batch.get('d.gain')![0]!);
        expect(values[stepper.losses.indexOf('gain')]).toBeCloseTo(
          gains.reduce((a, b) => a + b) / accumulate,
          6,
        );
      }
    });
  });

  test('losses are those of their step, in order, with all steps queued at once', async () => {
    await using({}, async (stepper, reports) => {
      expect(stepper.losses).toEqual(['gain', 'biases']);
      const biases: number[] = [];
      for (let t = 1; t <= 3; t++) {
        const bias = (await stepper.read('value')).get('g.bias')!;
        biases.push(bias.reduce((a, b) => a + b));
        await run(stepper, t, [batch(t)]);
      }
      await run(
        stepper,
        4,
        Array.from({ length: 20 }, (_, k) => batch(k)),
      );
      await stepper.drain();
      expect(reports.map(({ t }) => t)).toEqual(Array.from({ length: 23 }, (_, i) => i + 1));
      for (const [i, bias] of biases.entries()) expect(reports[i]!.values[1]).toBeCloseTo(bias, 6);
    });
  });

  test('tensors go in and out bit for bit, and running statistics are updated', async () => {
    await using({ average: { network: 'g', decay: 0.9 } }, async (stepper) => {
      expect(await stepper.read('value')).toEqual(WEIGHTS);
      expect([...(await stepper.read('average'))]).toEqual(
        [...WEIGHTS].filter(([name]) => /g\.(w|b)/.test(name)),
      );
      const other = tensors(7);
      for (const kind of KINDS) {
        await stepper.write(kind, other);
        for (const [name, values] of await stepper.read(kind)) expect(values).toEqual(other.get(name));
      }
      await run(stepper, 1, [batch(3)]);
      const next = other
        .get('g.mean')!
        .map((value, i) => Math.fround(value / 2) + gradients(3).get('g.bias')![i]!);
      const { 'g.mean': mean, 'g.twin': twin } = Object.fromEntries(await stepper.read('value'));
      expect(mean).toEqual(next);
      expect(twin).toEqual(next);
      expect(await stepper.read('gradient')).toEqual(gradients(3));
    });
  });

  test('a run taken up again gives the bits of one that was not stopped', async () => {
    const options = { average: { network: 'g', decay: 0.9 }, clip: 3, lossScale: { scale: 64, since: 1995 } };
    const plan = toyStep({ scaled: true });
    const batches = Array.from({ length: 10 }, (_, k) => batch(k));
    const whole = await using({ ...options, plan }, async (stepper) => {
      await run(stepper, 1, batches);
      return { tensors: await everything(stepper), scale: await stepper.readLossScale() };
    });
    const half = await using({ ...options, plan }, async (stepper) => {
      await run(stepper, 1, batches.slice(0, 6));
      return { tensors: await everything(stepper), scale: await stepper.readLossScale() };
    });
    expect(half.scale).toEqual({ scale: 128, since: 1 });
    const rest = await using({ ...options, plan, lossScale: half.scale }, async (stepper) => {
      for (const [kind, values] of half.tensors) await stepper.write(kind, values);
      await run(stepper, 7, batches.slice(6));
      return { tensors: await everything(stepper), scale: await stepper.readLossScale() };
    });
    expect(rest).toEqual(whole);
  });

  test('the scale of the loss, a power of two, changes no bit', async () => {
    const batches = [batch(0), batch(1)];
    const go = (stepper: Stepper) => run(stepper, 1, batches).then(() => stepper.read('value'));
    const plain = await using({}, go);
    const plan = toyStep({ scaled: true });
    expect(await using({ plan, lossScale: { scale: 1024, since: 0 } }, go)).toEqual(plain);
  });

  test('a bad step halts: whatever is in flight, all stays as before it', async () => {
    await using({ average: { network: 'g', decay: 0.9 } }, async (stepper, reports) => {
      await run(stepper, 1, [batch(1), batch(2)]);
      const before = await everything(stepper);
      await run(stepper, 3, [badBatch(3), batch(4), batch(5), batch(6)]);
      expect(await everything(stepper)).toEqual(before);
      expect(reports.map(({ outcome }) => outcome)).toEqual([
        'updated',
        'updated',
        ...Array<Outcome>(4).fill('halted'),
      ]);
      expect(reports[2]!.norms.g).toBeNaN();
      expect(reports[3]!.norms.g).toBeGreaterThan(0);
    });
  });

  test('a bad batch among several halts', async () => {
    await using({ accumulate: 2 }, async (stepper, reports) => {
      await stepper.step({ t: 1, rates: RATES, inputs: [badBatch(1, Infinity), batch(2)] });
      expect(await stepper.read('value')).toEqual(WEIGHTS);
      expect(reports[0]!.outcome).toBe('halted');
    });
  });

  test('the step that first made a NaN is named, and nothing is changed by looking', async () => {
    await using({}, async (stepper) => {
      await run(stepper, 1, [batch(1)]);
      const before = await stepper.read('value');
      expect(await stepper.diagnose([batch(2)])).toBeUndefined();
      const found = await stepper.diagnose([batch(2), badBatch(3)]);
      expect(found).toEqual({
        name: '%3 copy',
        loc: { file: 'toy.sr', line: 3, column: 3 },
        kernel: 'copy',
        gave: 'NaN',
      });
      expect((await stepper.diagnose([badBatch(3, -Infinity)]))?.gave).toBe('Inf');
      expect(await stepper.read('value')).toEqual(before);
      await run(stepper, 2, [batch(2)]);
      expect(await stepper.read('value')).not.toEqual(before);
    });
  });

  test.skipIf(!precisions.includes('f16'))(
    'where f16 overflows, the scale shrinks until it does not',
    async () => {
      const plan = toyStep({ scaled: true, half: 'f16' });
      const large = inputsOf(gradients(0).set('d.gain', Float32Array.of(10)));
      await using({ plan, lossScale: { scale: 2 ** 15, since: 7 } }, async (stepper, reports) => {
        await run(stepper, 1, [large, large]);
        const skipped = await stepper.read('value');
        expect(skipped).toEqual(WEIGHTS);
        await run(stepper, 3, [large, large]);
        await stepper.drain();
        expect(reports.map(({ outcome }) => outcome)).toEqual(['skipped', 'skipped', 'skipped', 'updated']);
        expect(await stepper.read('value')).not.toEqual(WEIGHTS);
        expect(await stepper.readLossScale()).toEqual({ scale: 2 ** 12, since: 1 });
        await stepper.writeLossScale({ scale: 1, since: 0 });
        await run(stepper, 5, [badBatch(1), batch(1)]);
        await stepper.drain();
        expect(reports.slice(4).map(({ outcome }) => outcome)).toEqual(['halted', 'halted']);
      });
    },
  );

  test('a step may read one tensor of an arena and write another', async () => {
    const sketch = new Sketch(TENSORS);
    const [mean, twin] = [sketch.resident('g.mean', 'value'), sketch.resident('g.twin', 'value')];
    sketch.map(mean, twin, 5, [{ op: 'neg' }]);
    sketch.loss('sum', twin, 5);
    const { losses, values } = await using({ plan: sketch.plan() }, async (stepper, reports) => {
      await run(stepper, 1, [{}]);
      return { values: await stepper.read('value'), losses: reports[0]!.values };
    });
    const negated = WEIGHTS.get('g.mean')!.map((value) => -value);
    expect(values.get('g.twin')).toEqual(negated);
    expect(losses[0]).toBeCloseTo(
      negated.reduce((a, b) => a + b),
      6,
    );
  });

  test('arenas that cannot be bound whole are updated in ranges, with the same bits', async () => {
    const go = (stepper: Stepper) => run(stepper, 1, [batch(1), batch(2)]).then(() => everything(stepper));
    const options = { average: { network: 'g', decay: 0.9 }, clip: 1e6 };
    const small = { ...description.limits, maxStorageBufferBindingSize: 1300 };
    const device = disguised({ limits: small });
    expect(await using({ ...options, device }, go)).toEqual(await using(options, go));
  });

  test('memory is known before, and shared where lives end', () => {
    const plan = toyStep();
    const [trained, untrained, other] = [1280 + 256, 2 * 256, 256];
    expect(stepMemory(plan, {})).toEqual({
      naive: 1280 + 1280 + 7 * 256,
      planned: 1280 + 1280 + 2 * 256,
      mirrors: 0,
      constants: 0,
      arenas: 4 * trained + 2 * untrained + 4 * other,
      largestBinding: 1280,
    });
    const more = stepMemory(plan, { average: { network: 'g' }, accumulate: 2 });
    expect(more.arenas).toBe(6 * trained + 2 * untrained + 5 * other);
  });

  /** Makes buffers that are counted as long as they live. */
  function counting() {
    const count = { live: 0 };
    const createBuffer = (descriptor: GPUBufferDescriptor) => {
      const buffer = gpu.createBuffer(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      count.live++;
      buffer.destroy = () => {
        count.live--;
        return destroy();
      };
      return buffer;
    };
    return { count, createBuffer };
  }

  test('many steps make no further buffers, and closing frees all', async () => {
    const { count, createBuffer } = counting();
    await using({ device: disguised({ createBuffer }) }, async (stepper) => {
      const after = count.live;
      await run(stepper, 1, [batch(1), batch(2), batch(3), batch(4), batch(5)]);
      await stepper.read('value');
      await stepper.diagnose([badBatch(1)]);
      expect(count.live).toBe(after);
    });
    expect(count.live).toBe(0);
  });

  async function errorOf(promise: Promise<unknown>): Promise<UserError> {
    return promise.then(
      () => expect.fail('no error'),
      (error: UserError) => error,
    );
  }

  test('a step that does not fit says what it needs, before it asks the device', async () => {
    const untouched = disguised({ createBuffer: () => expect.fail('asked for memory') });
    const { diagnostics } = await errorOf(using({ device: untouched, memory: 10_000 }, async () => {}));
    expect(diagnostics[0]).toEqual({
      message: 'a training step of toy does not fit the device',
      notes: [
        'it needs 11 KiB: 3 KiB for what it computes, 8 KiB for what is trained, 0 KiB for what is not; there are 10 KiB',
      ],
      help: 'use a smaller `batch:` (and `accumulate:` to make up for it) or a smaller `patch:`',
    });
    const limits = { ...description.limits, maxStorageBufferBindingSize: 1024 };
    const { diagnostics: bound } = await errorOf(using({ device: disguised({ limits }) }, async () => {}));
    expect(bound[0]!.notes).toEqual(['it needs 2 KiB in one tensor; there are 1 KiB']);
  });

  test('weights that are missing or of another size', async () => {
    const some = new Map([...WEIGHTS].slice(1)).set('g.bias', new Float32Array(3));
    const opened = Stepper.open(gpu, toyStep(), some, { adam: ADAM });
    const { diagnostics } = await errorOf(opened);
    expect(diagnostics[0]!.notes).toEqual([
      'missing: g.weight [5,3,3,3]',
      'g.bias has 3 values, [5] needs 5',
    ]);
  });

  test.each([
    ['slot 0', 'training'],
    ['uniforms', 'a step of'],
  ])('a device without room for %s says what to do in the recipe, and keeps nothing', async (label, what) => {
    let exhausted = false;
    const { count, createBuffer } = counting();
    const device = disguised({
      createBuffer(descriptor: GPUBufferDescriptor) {
        exhausted ||= descriptor.label === label;
        return createBuffer(descriptor);
      },
      async popErrorScope() {
        const error = await gpu.popErrorScope();
        if (!exhausted) return error;
        exhausted = false;
        return { message: 'no room' };
      },
    });
    const { diagnostics } = await errorOf(using({ device }, async () => {}));
    expect(diagnostics[0]!.message).toContain(`the GPU ran out of memory: ${what} toy needs `);
    expect(diagnostics[0]!.help).toContain('batch:');
    expect(count.live).toBe(0);
  });

  test('a lost device ends what runs and what would', async () => {
    const other = await openDevice();
    const stepper = await Stepper.open(other.gpu, toyStep(), WEIGHTS, { adam: ADAM });
    const steps = errorOf(run(stepper, 1, [batch(1), batch(2), batch(3), batch(4), batch(5), batch(6)]));
    other.gpu.destroy();
    expect((await steps).message).toBe('the GPU device was closed while in use');
    expect((await errorOf(stepper.read('value'))).message).toBe('the GPU device was closed while in use');
    await stepper.close();
  });
});
