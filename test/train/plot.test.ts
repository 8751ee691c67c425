// Curves: what is drawn of the numbers, and where.

import { expect, test } from 'vitest';
import { drawCurves } from '../../train/curves.js';
import { linearAxis, logAxis, printNumber } from '../../train/curves-axes.js';
import {
  cutMetrics,
  type MetricsLine,
  parseMetrics,
  printMetrics,
  type ReadLine,
} from '../../train/metrics.js';

function step(stage: string, at: number, loss: number, more = {}): MetricsLine {
  return { stage, step: at, time: 0, lr: 1e-4, loss: { total: loss, ...more }, imagesPerSecond: 3 };
}

function validation(stage: string, at: number, psnr: number): MetricsLine {
  const bicubic = { psnr: 25, ssim: 0.7, psnrRgb: 24 };
  const scores = { psnr, ssim: 0.75, psnrRgb: psnr - 1 };
  return { stage, step: at, time: 0, validation: { ...scores, bicubic, images: [] } };
}

const read = (lines: readonly MetricsLine[]): ReadLine[] =>
  lines.map((line) => parseMetrics(printMetrics(line))!);

const LINES = [
  ...Array.from({ length: 200 }, (_, i) => step('psnr', 5 * (i + 1), 1 / (i + 1))),
  validation('psnr', 500, 26),
  validation('psnr', 1000, 27),
  ...Array.from({ length: 20 }, (_, i) => step('gan', 5 * (i + 1), 2, { 'a<b & c': 1 })),
];

const titles = (svg: string) => [...svg.matchAll(/font-size="13">([^<]*)</g)].map((match) => match[1]);

/** Attributes are closed and tags nest. */
function checkXml(svg: string): void {
  const open: string[] = [];
  const rest = svg.replace(/<(\/?)(\w+)((?:\s[\w-]+="[^"<>]*")*)\s*(\/?)>/g, (_, close, tag, __, empty) => {
    if (close) expect(open.pop()).toBe(tag);
    else if (!empty) open.push(tag);
    return '';
  });
  expect(open).toEqual([]);
  expect(rest).not.toMatch(/[<>]|&(?!#\d+;)/);
}

test('panels of what there is, in one drawing', () => {
  const svg = drawCurves([{ name: 'runs/x', lines: read(LINES) }]);
  checkXml(svg);
  expect(titles(svg)).toEqual([
    'loss',
    'PSNR of Y in dB, validation',
    'SSIM of Y, validation',
    'learning rate',
  ]);
  expect(svg).toMatch(/^<svg [^>]*width="1080" height="600"/);
  expect(svg).toContain('<title>Training curves of ');
  expect(svg).toContain('>a&#60;b &#38; c</text>');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

test('stages follow one another', () => {
  const svg = drawCurves([{ name: 'runs/x', lines: read(LINES) }]);
  const boundaries = [...svg.matchAll(/<path d="M([\d.]+) 30V266" stroke="#aaaaaa"/g)].map((match) =>
    Number(match[1]),
  );
  // 1000 of 1100 steps along an axis from 56 to 520, where the panel has both stages.
  expect(boundaries[0]).toBeCloseTo(56 + (1000 / 1100) * 464, 0);
  expect(svg).toContain('>gan</text>');
  expect(svg).not.toContain('>psnr</text>');
});

test('noise is smoothed and shown; few values get dots, many do not get one each', () => {
  const noisy = Array.from({ length: 5000 }, (_, i) => step('psnr', i + 1, i % 2 ? 1 : 3));
  const svg = drawCurves([{ name: 'x', lines: read(noisy) }]);
  const [raw, smoothed] = [...svg.matchAll(/<path d="(M[^"]*)" stroke="#0072b2"/g)].map((match) => match[1]!);
  expect(raw!.split('L').length).toBeGreaterThan(900);
  expect(raw!.split('L').length).toBeLessThan(1000);
  const heights = (path: string) => path.split('L').map((point) => Number(point.split(',')[1]));
  const range = (values: number[]) => Math.max(...values) - Math.min(...values);
  expect(range(heights(smoothed!).slice(200))).toBeLessThan(0.1 * range(heights(raw!)));
  expect(svg).not.toContain('<circle');
  expect(drawCurves([{ name: 'x', lines: read(LINES) }])).toContain('<circle');
});

test('several runs are compared by their totals', () => {
  const svg = drawCurves([
    { name: 'runs/mse', lines: read(LINES) },
    { name: 'runs/vgg', lines: read(LINES.slice(0, 100)) },
  ]);
  checkXml(svg);
  expect(svg).toContain('>runs/mse</text>');
  expect(svg).toContain('>runs/vgg</text>');
  expect(svg).not.toContain('a&#60;b');
  expect(svg.match(/>bicubic<\/text>/g)).toHaveLength(2);
});

test('one value, negative values, constant values, values that are missing', () => {
  for (const losses of [[3], [-1, 2, -3], [5, 5, 5], [0, 0]]) {
    const svg = drawCurves([{ name: 'x', lines: read(losses.map((loss, i) => step('s', i + 1, loss))) }]);
    checkXml(svg);
    expect(svg).not.toMatch(/NaN|Infinity/);
  }
  const infinite = read([step('s', 1, 1), validation('s', 1, Number.POSITIVE_INFINITY)]);
  expect(titles(drawCurves([{ name: 'x', lines: infinite }]))).toContain('SSIM of Y, validation');
  expect(() => drawCurves([{ name: 'runs/x', lines: [] }])).toThrow('runs/x: there is nothing to draw yet');
});

test('round numbers on axes', () => {
  expect(linearAxis(0, 1000, 6).ticks).toEqual([0, 200, 400, 600, 800, 1000]);
  expect(linearAxis(26.13, 27.02, 6).ticks).toEqual([26.2, 26.4, 26.6, 26.8, 27]);
  expect(linearAxis(-1, 1, 4).ticks).toEqual([-1, -0.5, 0, 0.5, 1]);
  expect(logAxis(0.009, 1.1, 5).ticks).toEqual([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]);
  expect(logAxis(1e-6, 1, 5).ticks).toEqual([1e-6, 1e-4, 0.01, 1]);
  expect(logAxis(0.03, 0.034, 5).ticks).toEqual([0.03, 0.031, 0.032, 0.033, 0.034]);
  const { place } = logAxis(0.01, 1, 5);
  expect([place(0.01), place(0.1), place(1)]).toEqual([0, expect.closeTo(0.5, 12), 1]);
});

test.each([
  [0, '0'],
  [0.025, '0.025'],
  [2e-4, '2e-4'],
  [-2.5e-5, '-2.5e-5'],
  [1500, '1500'],
  [20_000, '20k'],
  [1_500_000, '1.5M'],
])('%d is written %s', (value, text) => {
  expect(printNumber(value)).toBe(text);
});

test('what was written of a stage after a checkpoint is cut out, and lines that broke off', () => {
  const lines = [step('psnr', 5, 1), step('psnr', 10, 1), step('gan', 5, 1), step('gan', 10, 1)];
  const text = `${lines.map(printMetrics).join('')}{"stage":"gan","st`;
  const without = (...left: number[]) =>
    lines
      .filter((_, i) => !left.includes(i))
      .map(printMetrics)
      .join('');
  expect(cutMetrics(text, 'gan', 10)).toBe(without());
  expect(cutMetrics(text, 'gan', 9)).toBe(without(3));
  expect(cutMetrics(text, 'gan', 0)).toBe(without(2, 3));
  expect(cutMetrics(text, 'psnr', 5)).toBe(without(1));
  expect(cutMetrics(text, 'other', 0)).toBe(without());
});
