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

/** The region of all planes, `[channels][rows][columns]`, mirrored in the same way. May be the image's own data. */
export function cutOut(image: PlanarImage, region: Region): Float32Array {
  const { width, height, data } = image;
  const { top, bottom, left, right } = region;
  if (top === 0 && left === 0 && bottom === height && right === width) return data;
  const columns = right - left;
  const inside = Math.min(right, width);
  const channels = data.length / (width * height);
  const result = new Float32Array(channels * (bottom - top) * columns);
  for (let channel = 0, to = 0; channel < channels; channel++) {
    for (let y = top; y < bottom; y++, to += columns) {
      const row = (channel * height + mirror(y, height)) * width;
      result.set(data.subarray(row + left, row + inside), to);
      for (let x = inside; x < right; x++) result[to + x - left] = data[row + mirror(x, width)]!;
    }
  }
  return result;
}

/** Writes what `planes`, which are those of the region `from`, hold of `region` into the image, which crops it. */
export function pasteIn(planes: Float32Array, from: Region, region: Region, image: PlanarImage): void {
  const { width, height, data } = image;
  const channels = data.length / (width * height);
  const [rows, columns] = [from.bottom - from.top, from.right - from.left];
  const right = Math.min(region.right, width);
  if (right <= region.left) return; // a tile that another part of the image is responsible for
  for (let channel = 0; channel < channels; channel++) {
    for (let y = region.top; y < Math.min(region.bottom, height); y++) {
      const at = (channel * rows + y - from.top) * columns - from.left;
      data.set(planes.subarray(at + region.left, at + right), (channel * height + y) * width + region.left);
    }
  }
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
