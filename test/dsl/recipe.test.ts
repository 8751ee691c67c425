// Recipes as data: what a stage is told, and the numbers of Real-ESRGAN's degradation.

import { describe, expect, test } from 'vitest';
import { UserError } from '../../diagnostics.js';
import { type LoadOptions, load } from '../../dsl/index.js';

const GENERATOR = `let scale = 2
generator g(features = 4) : (3, h, w) -> (3, scale*h, scale*w) {
  body = { conv(features); prelu } x2
  up = { conv(12); pixelshuffle(2) }
}
`;

function recipeOf(lines: { degrade?: string; stage?: string }, options: LoadOptions = {}) {
  const { degrade = 'bicubic(scale)', stage = '' } = lines;
  const text = `${GENERATOR}train {
  degrade: ${degrade}; patch: 64; batch: 4
  stage a { minimize: l1; steps: 100; adam(lr=1e-4); ${stage} }
}
`;
  return load({ name: 'mine.sr', text }, options).recipe!;
}

const firstStage = (stage: string) => recipeOf({ stage }).stages[0]!;

describe('stages', () => {
  test('freeze paths of the generator, or of what is inside them', () => {
    expect(firstStage('freeze: body, up.conv.bias, "body.1"').freeze).toEqual([
      'body',
      'up.conv.bias',
      'body.1',
    ]);
  });

  test('clip, accumulate and average', () => {
    expect(firstStage('clip(0.5); accumulate: 4; ema(0.99)')).toMatchObject({
      clip: 0.5,
      accumulate: 4,
      ema: 0.99,
    });
  });

  test.each([
    ['', { kind: 'constant' }],
    ['multistep(at=(10, 20))', { kind: 'at', at: [10, 20], by: 0.1 }],
    ['halve(every=10)', { kind: 'every', every: 10, by: 0.5 }],
    ['halve(at=10)', { kind: 'at', at: [10], by: 0.5 }],
    ['cosine(periods=(10, 20))', { kind: 'cosine', periods: [10, 20], weights: [1, 1], min: 0 }],
  ])('%s', (stage, schedule) => {
    expect(firstStage(stage).schedule).toEqual(schedule);
  });
});

describe('patches given beside the file', () => {
  test('win over every patch in it', () => {
    const { patch, stages } = recipeOf({ stage: 'patch: 32' }, { patch: 48 });
    expect([patch, stages[0]!.patch]).toEqual([48, 48]);
  });

  test('are multiples of the scale', () => {
    expect(() => recipeOf({}, { patch: 47 })).toThrow(UserError);
  });
});

describe('degradations', () => {
  test('Real-ESRGAN’s, by its options', () => {
    const first = {
      blur: 1,
      kernel: [7, 21],
      sinc: 0.1,
      shapes: [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
      sigma: [0.2, 3],
      generalized: [0.5, 4],
      plateau: [1, 2],
      enlarge: 0.2,
      reduce: 0.7,
      resize: [0.15, 1.5],
      gaussian: 0.5,
      noise: [1, 30],
      poisson: [0.05, 3],
      gray: 0.4,
      jpeg: [30, 95],
    };
    const second = {
      ...first,
      blur: 0.8,
      sigma: [0.2, 1.5],
      enlarge: 0.3,
      reduce: 0.4,
      resize: [0.3, 1.2],
      noise: [1, 25],
      poisson: [0.05, 2.5],
    };
    const degrade = { kind: 'realesrgan', factor: 2, first, second, finalSinc: 0.8 };
    expect(recipeOf({ degrade: 'realesrgan(scale)' }).degrade).toEqual(degrade);
    const changed =
      'realesrgan(scale, sigma=(1, 2), kernel2=(3, 7), shapes2=(1, 0, 0, 0, 0, 0), final_sinc=0)';
    expect(recipeOf({ degrade: changed }).degrade).toEqual({
      ...degrade,
      first: { ...first, sigma: [1, 2] },
      second: { ...second, kernel: [3, 7], shapes: [1, 0, 0, 0, 0, 0] },
      finalSinc: 0,
    });
  });
});

test.each(['vgg19()', 'vgg19'])('perception vgg = %s: its weights are looked for', (call) => {
  const { networks } = load({ name: 'mine.sr', text: `${GENERATOR}perception vgg = ${call}\n` });
  expect(networks[1]!.weights).toBeUndefined();
});
