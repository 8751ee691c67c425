// A process of its own, because the first time is what users wait for: from text to plans, each phase once cold and then
// often. Prints one JSON line.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { optimize } from '../../compiler/passes/pipeline.js';
import { planStep } from '../../compiler/step-plan.js';
import { GENERIC } from '../../compiler/target.js';
import { trainingStep } from '../../compiler/training.js';
import { parse } from '../../dsl/parse.js';
import { compile, load, planFor } from '../../index.js';
import { stageNamed, stepSpec } from '../../train/stages.js';
import { ROOT } from '../machine.js';
import { median } from '../stats.js';
import { inferenceMemory, trainingMemory } from './memory.js';

const file = 'graphs/esrgan.sr';
const source = { name: file, text: readFileSync(join(ROOT, file), 'utf8') };

const phases: { readonly phase: string; readonly cold: number; readonly warm: number }[] = [];

/** Enough for a median. */
const TIMES = 7;

function time<T>(phase: string, work: () => T): T {
  const once = (): readonly [T, number] => {
    const began = performance.now();
    const result = work();
    return [result, performance.now() - began];
  };
  const [result, cold] = once();
  const warm = median(Array.from({ length: TIMES }, () => once()[1]));
  phases.push({ phase, cold, warm });
  return result;
}

time('parse', () => parse(source));
const program = time('check and build graphs', () => load(source));
const [network] = program.networks;
time('optimize for inference', () => optimize(network!.graph));
const compiled = compile(source);
const plan = time('plan inference', () => planFor(compiled));
const spec = stepSpec(program, stageNamed(program, 'gan'), 'f32');
const step = time('differentiate the GAN step', () => trainingStep(spec));
const planned = time('optimize and plan the GAN step', () => planStep(step, GENERIC));

const memory = [
  { what: 'esrgan.sr, 128x128', ...inferenceMemory(plan, { height: 128, width: 128 }) },
  { what: 'esrgan.sr, 512x512', ...inferenceMemory(plan, { height: 512, width: 512 }) },
  { what: 'esrgan.sr, GAN step, batch 16 of 128x128', ...trainingMemory(planned.plan) },
];
process.stdout.write(`${JSON.stringify({ phases, memory })}\n`);
