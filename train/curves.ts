// Curves of trainings as SVG: a panel each for losses, validation, learning rate and gradients. Stages follow one another
// along the steps; noisy curves are smoothed, and what was measured shows through.

import { fail } from '../diagnostics.js';
import {
  type Curve,
  drawPanel,
  HEIGHT,
  PLOT,
  type Point,
  type Stage,
  type Style,
  WIDTH,
  xml,
} from './curves-panel.js';
import { type ReadLine, scalarsOf } from './metrics.js';

export interface Run {
  readonly name: string;
  readonly lines: readonly ReadLine[];
}

interface Panel extends Style {
  /** The tags of its curves; the group is their label, none for the network itself. */
  readonly tags: RegExp;
  /** The curve that several runs are compared by. */
  readonly main: string;
}

const PANELS: readonly Panel[] = [
  { title: 'loss', tags: /^loss\/(.+)$/, main: 'loss/total', noisy: true, log: true },
  { title: "critic's loss", tags: /^critic\/(.+)$/, main: 'critic/total', noisy: true, log: true },
  {
    title: 'PSNR of Y in dB, validation',
    tags: /^validation\/(?:(bicubic)\/)?psnr$/,
    main: 'validation/psnr',
    noisy: false,
    log: false,
  },
  {
    title: 'SSIM of Y, validation',
    tags: /^validation\/(?:(bicubic)\/)?ssim$/,
    main: 'validation/ssim',
    noisy: false,
    log: false,
  },
  { title: 'learning rate', tags: /^lr$/, main: 'lr', noisy: false, log: true },
  { title: 'norm of the gradient', tags: /^norm\/(.+)$/, main: '', noisy: true, log: true },
];

const BASELINE = 'bicubic';

/** Colours that people with any kind of colour vision tell apart (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#555555'];
const GRAY = '#888888';

/** Of panels beside each other. */
const COLUMNS = 2;

/** One run with all its terms, or several by their totals. */
export function drawCurves(runs: readonly Run[]): string {
  const measured = runs.map(measure);
  const panels = PANELS.flatMap((panel) => {
    const curves = measured.flatMap((run, i) => curvesOf(panel, run, runs.length > 1 ? i : undefined));
    return curves.length > 0 ? [{ panel, curves }] : [];
  });
  if (panels.length === 0) {
    fail(`${runs.map(({ name }) => name).join(', ')}: there is nothing to draw yet`, {
      help: 'wait until the first steps are done',
    });
  }
  const stages = measured.flatMap((run) => run.stages);
  const drawn = panels.map(({ panel, curves }, i) => {
    const [x, y] = [(i % COLUMNS) * WIDTH, Math.floor(i / COLUMNS) * HEIGHT];
    return `<g transform="translate(${x} ${y})">\n${drawPanel(panel, curves, stages)}\n</g>`;
  });
  const width = WIDTH * Math.min(COLUMNS, panels.length);
  const height = HEIGHT * Math.ceil(panels.length / COLUMNS);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<title>${xml(`Training curves of ${runs.map(({ name }) => name).join(', ')}`)}</title>
<clipPath id="plot"><rect x="${PLOT.x}" y="${PLOT.y}" width="${PLOT.width}" height="${PLOT.height}"/></clipPath>
<rect width="100%" height="100%" fill="white"/>
${drawn.join('\n')}
</svg>
`;
}

interface Measured {
  readonly name: string;
  readonly stages: readonly Stage[];
  /** By tag, and then stage by stage. */
  readonly curves: ReadonlyMap<string, readonly Point[][]>;
}

function measure({ name, lines }: Run): Measured {
  const stages = stagesOf(lines);
  const curves = new Map<string, Point[][]>();
  for (const line of lines) {
    const at = stages.findIndex((stage) => stage.name === line.stage);
    for (const [tag, value] of scalarsOf(line)) {
      if (!curves.has(tag))
        curves.set(
          tag,
          stages.map(() => []),
        );
      curves.get(tag)![at]!.push([stages[at]!.start + line.step, value]);
    }
  }
  return { name, stages, curves };
}

/** Each begins where the one before it ended. */
function stagesOf(lines: readonly ReadLine[]): Stage[] {
  const last = new Map<string, number>();
  for (const { stage, step } of lines) last.set(stage, Math.max(step, last.get(stage) ?? 0));
  let start = 0;
  return [...last].map(([name, steps]) => {
    start += steps;
    return { name, start: start - steps };
  });
}

/** `index` is that of the run among several. */
function curvesOf({ tags, main }: Panel, { name, curves }: Measured, index: number | undefined): Curve[] {
  const matching = [...curves].flatMap(([tag, parts]) => {
    const match = tags.exec(tag);
    return match ? [{ tag, parts, label: match[1] ?? '' }] : [];
  });
  return matching.flatMap(({ tag, parts, label }, i): Curve[] => {
    if (label === BASELINE) return [{ label, parts, colour: GRAY, dashed: true }];
    if (index === undefined) return [{ label, parts, colour: colourOf(i), dashed: false }];
    return tag === main ? [{ label: name, parts, colour: colourOf(index), dashed: false }] : [];
  });
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}
