// node examples/before-after.mjs WEIGHTS OUT.png: draws a small picture, enlarges it four times with the network of
// graphs/esrgan-anime.sr, and puts the pixels as they were beside the result. Makes the picture of the README.
import { readFile, writeFile } from 'node:fs/promises';
import { compile, open, readWeights } from 'src';
import { encodeImage, openDevice } from 'src/node';

const [weightFile, out] = process.argv.slice(2);
const [WIDTH, HEIGHT, SCALE, SAMPLES] = [104, 72, 4, 6];

const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);
const disc = (x, y, cx, cy, rx, ry = rx) => ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1;
const line = (x, y, [x0, y0], [x1, y1], width) => {
  const t = Math.min(
    1,
    Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)),
  );
  return Math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)) < width / 2;
};
const triangle = (x, y, ...[a, b, c]) => {
  const side = (p, q) => (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) > 0;
  return side(a, b) === side(b, c) && side(b, c) === side(c, a);
};

const INK = [0.13, 0.1, 0.2];
const FUR = [0.95, 0.62, 0.25];

/** The colour of the drawing at a point: a cat by moonlight. */
function colour(x, y) {
  const head = (grow) =>
    disc(x, y, 38, 42, 19 + grow, 16 + grow) ||
    triangle(x, y, [21 - grow, 40], [23 - grow, 16 - 2 * grow], [36 + grow, 29]) ||
    triangle(x, y, [55 + grow, 40], [53 + grow, 16 - 2 * grow], [40 - grow, 29]);
  for (const [from, to] of [
    [
      [30, 46],
      [14, 43],
    ],
    [
      [30, 48],
      [14, 49],
    ],
    [
      [46, 46],
      [62, 43],
    ],
    [
      [46, 48],
      [62, 49],
    ],
  ]) {
    if (line(x, y, from, to, 0.8)) return INK;
  }
  for (const eye of [31, 45]) {
    if (disc(x, y, eye + 1.2, 38.4, 0.9)) return [1, 1, 1];
    if (disc(x, y, eye, 40, 1.6, 3)) return INK;
    if (disc(x, y, eye, 40, 3.6, 4)) return [0.55, 0.85, 0.45];
    if (disc(x, y, eye, 40, 4.5, 4.9)) return INK;
  }
  if (triangle(x, y, [36, 46], [40, 46], [38, 48.5])) return [0.85, 0.35, 0.4];
  if (line(x, y, [38, 48], [38, 50.5], 0.9) || line(x, y, [38, 50.5], [34.5, 52.5], 0.9)) return INK;
  if (line(x, y, [38, 50.5], [41.5, 52.5], 0.9)) return INK;
  if (triangle(x, y, [24.5, 31], [25, 21], [31, 28]) || triangle(x, y, [51.5, 31], [51, 21], [45, 28]))
    return [0.9, 0.5, 0.45];
  for (const stripe of [33, 38, 43])
    if (line(x, y, [stripe, 27], [stripe + (38 - stripe) * 0.2, 32.5], 1.6)) return mix(FUR, INK, 0.55);
  if (head(0)) return FUR;
  if (head(1.4)) return INK;
  if (disc(x, y, 82, 20, 11))
    return disc(x, y, 78, 17, 2.4) || disc(x, y, 86, 24, 1.7) ? [0.88, 0.84, 0.66] : [0.98, 0.95, 0.8];
  for (const [sx, sy] of [
    [66, 10],
    [97, 38],
    [71, 33],
    [8, 12],
    [60, 22],
    [99, 8],
  ]) {
    if (Math.abs(x - sx) * Math.abs(y - sy) < 0.12 && Math.hypot(x - sx, y - sy) < 2.2) return [1, 1, 0.9];
  }
  const hill = 58 + 4 * Math.sin(x / 13) + 2 * Math.sin(x / 5 + 2);
  if (y > hill) return Math.sin(x * 1.7 + y * 0.9) > 0.86 ? [0.16, 0.42, 0.36] : [0.12, 0.33, 0.32];
  if (y > hill - 1) return INK;
  return mix([0.16, 0.18, 0.42], [0.42, 0.36, 0.62], y / HEIGHT);
}

const small = new Float32Array(3 * WIDTH * HEIGHT);
for (let y = 0; y < HEIGHT; y++) {
  for (let x = 0; x < WIDTH; x++) {
    for (let k = 0; k < SAMPLES ** 2; k++) {
      const [dx, dy] = [((k % SAMPLES) + 0.5) / SAMPLES, (Math.floor(k / SAMPLES) + 0.5) / SAMPLES];
      colour(x + dx, y + dy).forEach((v, c) => {
        small[(c * HEIGHT + y) * WIDTH + x] += v / SAMPLES ** 2;
      });
    }
  }
}

const device = await openDevice();
const network = compile(await readFile('graphs/esrgan-anime.sr', 'utf8'));
const weights = await readWeights(weightFile, await readFile(weightFile), (sibling) => readFile(sibling));
const upscaler = await open(device.gpu, network, { weights });
const large = await upscaler.run({ width: WIDTH, height: HEIGHT, data: small });
await device.close();

const [width, height] = [2 * WIDTH * SCALE, HEIGHT * SCALE];
const data = new Uint8Array(3 * width * height);
for (let i = 0; i < data.length; i++) {
  const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / (3 * width))];
  const before = x < width / 2;
  const value = before
    ? small[(c * HEIGHT + Math.floor(y / SCALE)) * WIDTH + Math.floor(x / SCALE)]
    : large.data[(c * large.height + y) * large.width + x - width / 2];
  data[i] = Math.round(255 * Math.min(1, Math.max(0, value)));
}
await writeFile(out, await encodeImage({ width, height, channels: 3, depth: 8, data }, 'png'));
