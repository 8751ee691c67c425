// One panel of a plot: axes, curves and a legend, as the inside of an SVG.

import { type Axis, linearAxis, logAxis, printNumber } from './curves-axes.js';

export type Point = readonly [step: number, value: number];

export interface Curve {
  /** May be empty. */
  readonly label: string;
  readonly colour: string;
  readonly dashed: boolean;
  /** Stage by stage, in the order of the steps. */
  readonly parts: readonly (readonly Point[])[];
}

export interface Stage {
  readonly name: string;
  readonly start: number;
}

export interface Style {
  readonly title: string;
  /** Whether the curves need smoothing. */
  readonly noisy: boolean;
  /** Logarithmic, where all values are positive. */
  readonly log: boolean;
}

export const WIDTH = 540;
export const HEIGHT = 300;

/** Where the curves are, within the panel. */
export const PLOT = { x: 56, y: 30, width: WIDTH - 76, height: HEIGHT - 64 };
const RIGHT = PLOT.x + PLOT.width;
const BOTTOM = PLOT.y + PLOT.height;

export function drawPanel(
  { title, noisy, log }: Style,
  curves: readonly Curve[],
  stages: readonly Stage[],
): string {
  const last = curves.flatMap(({ parts }) => parts.map((part) => part.at(-1)?.[0] ?? 0));
  const steps = linearAxis(0, Math.max(1, ...last), 6);
  const values = valueAxis(
    curves.flatMap(({ parts }) => parts.flat().map(([, value]) => value)),
    log,
  );
  const x = (step: number) => round(PLOT.x + steps.place(step) * PLOT.width);
  const y = (value: number) => round(BOTTOM - values.place(value) * PLOT.height);
  return [
    `<text x="${PLOT.x}" y="18" font-size="13">${xml(title)}</text>`,
    ...values.ticks.map(
      (tick) =>
        `<path d="M${PLOT.x} ${y(tick)}H${RIGHT}" stroke="#e4e4e4"/>` +
        `<text x="${PLOT.x - 6}" y="${y(tick) + 4}" text-anchor="end">${printNumber(tick)}</text>`,
    ),
    ...steps.ticks.map(
      (tick) => `<text x="${x(tick)}" y="${BOTTOM + 16}" text-anchor="middle">${printNumber(tick)}</text>`,
    ),
    `<text x="${RIGHT}" y="${BOTTOM + 30}" text-anchor="end">steps</text>`,
    ...stages.filter(({ start }) => start > 0).map(({ name, start }) => drawBoundary(x(start), name)),
    `<path d="M${PLOT.x} ${PLOT.y}V${BOTTOM}H${RIGHT}" fill="none" stroke="black"/>`,
    '<g clip-path="url(#plot)" fill="none">',
    ...curves.map((curve) => drawCurve(curve, noisy, ([step, value]) => [x(step), y(value)])),
    '</g>',
    drawLegend(curves, log),
  ].join('\n');
}

/** Without the few values that stand out furthest, lest a spike press everything else flat. */
function valueAxis(values: readonly number[], log: boolean): Axis {
  const sorted = [...values].sort((a, b) => a - b);
  const skip = Math.floor(0.002 * sorted.length);
  const [low, high] = [sorted[skip]!, sorted.at(-1 - skip)!];
  if (log && sorted[0]! > 0) {
    const room = Math.max((high / low) ** 0.05, 1.05);
    return logAxis(low / room, high * room, 5);
  }
  const room = Math.max(0.05 * (high - low), 0.01 * Math.abs(high), 1e-6);
  return linearAxis(low - room, high + room, 6);
}

function drawBoundary(x: number, stage: string): string {
  return (
    `<path d="M${x} ${PLOT.y}V${BOTTOM}" stroke="#aaaaaa" stroke-dasharray="2 3"/>` +
    `<text x="${x + 4}" y="${BOTTOM - 5}" fill="#777777">${xml(stage)}</text>`
  );
}

function drawCurve({ parts, colour, dashed }: Curve, noisy: boolean, place: (point: Point) => Point): string {
  const draw = (points: readonly Point[], style: string) =>
    `<path d="M${thin(points.map(place)).join('L')}" stroke="${colour}" ${style}/>`;
  return parts
    .filter((part) => part.length > 0)
    .flatMap((part) => {
      const smoothed = noisy ? smooth(part) : part;
      return [
        ...(smoothed === part ? [] : [draw(part, 'stroke-opacity="0.25"')]),
        draw(smoothed, dashed ? 'stroke-dasharray="5 4"' : 'stroke-width="1.6"'),
        // A few values deserve to be seen, and a single one would have no line.
        ...(part.length <= FEW && !dashed ? part.map((point) => drawDot(place(point), colour)) : []),
      ];
    })
    .join('\n');
}

const FEW = 30;

function drawDot([x, y]: Point, colour: string): string {
  return `<circle cx="${x}" cy="${y}" r="2" fill="${colour}"/>`;
}

/** As many values as a smoothed curve moves freely through. */
const DETAIL = 50;

/** The exponential mean of what came before, not biased towards its beginning. */
function smooth(points: readonly Point[]): readonly Point[] {
  if (points.length <= DETAIL) return points;
  const share = DETAIL / points.length;
  let [sum, weight] = [0, 0];
  return points.map(([step, value]) => {
    sum += share * (value - sum);
    weight += share * (1 - weight);
    return [step, sum / weight];
  });
}

/** The lowest and the highest of the points that fall on one pixel across, in their order. */
function thin(points: readonly Point[]): readonly Point[] {
  const kept: Point[] = [];
  for (let i = 0; i < points.length; ) {
    const column = Math.floor(points[i]![0]);
    let [low, high] = [i, i];
    for (; i < points.length && Math.floor(points[i]![0]) === column; i++) {
      if (points[i]![1] < points[low]![1]) low = i;
      if (points[i]![1] > points[high]![1]) high = i;
    }
    kept.push(points[Math.min(low, high)]!);
    if (low !== high) kept.push(points[Math.max(low, high)]!);
  }
  return kept;
}

const LINE = 15;
const LONGEST_LABEL = 34;
/** Of a letter, about. */
const LETTER = 6;
/** Of the coloured line beside a label, with room. */
const SWATCH = 30;

/** At the right, where curves of losses leave the top free, and others the bottom. */
function drawLegend(curves: readonly Curve[], top: boolean): string {
  const entries = curves
    .filter(({ label }, i) => label !== '' && curves.findIndex((other) => other.label === label) === i)
    .map(({ label, ...rest }) => ({
      ...rest,
      text: label.length > LONGEST_LABEL ? `${label.slice(0, LONGEST_LABEL - 1)}…` : label,
    }));
  if (entries.length === 0) return '';
  const height = LINE * entries.length;
  const width = SWATCH + LETTER * Math.max(...entries.map(({ text }) => text.length));
  const first = top ? PLOT.y + LINE : BOTTOM - height;
  const back = `<rect x="${RIGHT - width}" y="${first - LINE / 2}" width="${width}" height="${height}" fill="white" fill-opacity="0.75"/>`;
  const lines = entries.map(({ text, colour, dashed }, i) => {
    const y = first + LINE * i;
    const style = `stroke="${colour}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ''}`;
    return (
      `<path d="M${RIGHT - SWATCH + 6} ${y}h18" ${style}/>` +
      `<text x="${RIGHT - SWATCH}" y="${y + 4}" text-anchor="end">${xml(text)}</text>`
    );
  });
  return [back, ...lines].join('\n');
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}

export function xml(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').replace(/[&<>]/g, (char) => `&#${char.charCodeAt(0)};`);
}
