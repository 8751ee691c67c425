// Colour for pixels that nobody sees. Files keep anything under full transparency, mostly black; a network that looks at
// it would draw dark fringes along every outline. Each such pixel takes the colour of its visible surroundings, found by
// averaging down a pyramid (weighted by opacity) and filling the holes on the way back up ("pull-push").

import type { Planes } from './image.js';

/** Replaces, in place, the colour of the pixels of `rgb` whose opacity is zero. */
export function bleed(rgb: Planes, alpha: Float32Array): void {
  if (!alpha.some((opacity) => opacity === 0) || !alpha.some((opacity) => opacity > 0)) return;
  const half = halve(rgb, alpha);
  bleed(half.colour, half.weight);
  const { width, height, channels, data } = rgb;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      if (alpha[at] !== 0) continue;
      const from = (y >> 1) * half.colour.width + (x >> 1);
      for (let c = 0; c < channels; c++) {
        data[c * alpha.length + at] = half.colour.data[c * half.weight.length + from]!;
      }
    }
  }
}

/** Weighted means of blocks of 2x2, and the blocks' mean weights. */
function halve(colour: Planes, weight: Float32Array): { colour: Planes; weight: Float32Array } {
  const { channels, data } = colour;
  const width = Math.ceil(colour.width / 2);
  const height = Math.ceil(colour.height / 2);
  const area = width * height;
  const means = new Float32Array(channels * area);
  const weights = new Float32Array(area);
  for (let y = 0; y < colour.height; y++) {
    for (let x = 0; x < colour.width; x++) {
      const from = y * colour.width + x;
      const to = (y >> 1) * width + (x >> 1);
      const w = weight[from]!;
      weights[to]! += w / 4;
      for (let c = 0; c < channels; c++) means[c * area + to]! += (w / 4) * data[c * weight.length + from]!;
    }
  }
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) if (weights[i]! > 0) means[c * area + i]! /= weights[i]!;
  }
  return { colour: { channels, width, height, data: means }, weight: weights };
}
