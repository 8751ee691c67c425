// Images between the host's planes (`[channels][height][width]`, f32) and the device's channels-last tensors.

export interface PlanarImage {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** Rows and columns of an image, ends excluded. */
export interface Region {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/**
 * The region as `[rows][columns][stride]`, unused channels zero. Beyond the right and the bottom border the image
 * is mirrored, as PyTorch's `reflect` padding does, because networks with a pixel-unshuffle front were trained so.
 */
export function interleave(
  image: PlanarImage,
  channels: number,
  region: Region,
  stride: number,
): Float32Array<ArrayBuffer> {
  const { width, height, data } = image;
  const { top, bottom, left, right } = region;
  const columns = right - left;
  const result = new Float32Array((bottom - top) * columns * stride);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = top; y < bottom; y++) {
      const row = (channel * height + mirror(y, height)) * width;
      let to = (y - top) * columns * stride + channel;
      for (let x = left; x < right; x++, to += stride) result[to] = data[row + mirror(x, width)]!;
    }
  }
  return result;
}

/** 0 1 2 | 1 0 1 …: to and fro where the image is smaller than what it lacks. */
function mirror(i: number, size: number): number {
  if (size === 1) return 0;
  const j = i % (2 * size - 2);
  return j < size ? j : 2 * size - 2 - j;
}

/** Writes rows of `[rows][columns][stride]` (from column `skip`) into the region of `image`, which crops them. */
export function deinterleave(
  values: Float32Array,
  layout: { readonly columns: number; readonly stride: number; readonly skip: number },
  image: PlanarImage,
  { top, bottom, left, right }: Region,
): void {
  const { width, height, data } = image;
  const channels = data.length / (width * height);
  const lastRow = Math.min(bottom, height);
  const lastColumn = Math.min(right, width);
  for (let channel = 0; channel < channels; channel++) {
    for (let y = top; y < lastRow; y++) {
      const to = (channel * height + y) * width;
      let from = ((y - top) * layout.columns + layout.skip) * layout.stride + channel;
      for (let x = left; x < lastColumn; x++, from += layout.stride) data[to + x] = values[from]!;
    }
  }
}
