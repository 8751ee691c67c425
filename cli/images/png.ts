// PNG through pngjs, which answers in RGBA, forgets all metadata and trusts the file; what can be checked and kept without
// its help is in formats/png-*.ts.

import { inflateSync } from 'node:zlib';
import { PNG } from 'pngjs';
import { orient } from '../../formats/exif.js';
import { type Channels, hasAlpha, type Image, type Samples } from '../../formats/image.js';
import { broken, insertChunks } from '../../formats/png-chunks.js';
import { type PngHeader, readPngHeader } from '../../formats/png-header.js';
import { pngMetaChunks, readPngMeta } from '../../formats/png-meta.js';
import { pickChannels } from './samples.js';

export function decodePng(name: string, bytes: Uint8Array): Image {
  const header = readPngHeader(name, bytes);
  const { orientation, ...meta } = readPngMeta(name, header.chunks);
  const { width, height, color, alpha, data } = parse(name, header, bytes);
  const depth = header.bitDepth === 16 ? 16 : 8;
  const rgba: Samples =
    depth === 8 ? data : new Uint16Array(data.buffer, data.byteOffset, 4 * width * height);
  const wanted = [...(color ? [0, 1, 2] : [0]), ...(alpha ? [3] : [])];
  const image = {
    width,
    height,
    channels: wanted.length as Channels,
    depth,
    data: pickChannels(rgba, 4, wanted),
    ...meta,
  } as const;
  return orient(image, orientation);
}

/** RGBA: bytes, or for 16 bits per sample native words behind the type of a Buffer. */
function parse(name: string, header: PngHeader, bytes: Uint8Array) {
  checkPixelData(name, header);
  try {
    // Without skipRescale, 16 bits become 8; below 8 bits rescaling is what makes 1 white. The CRCs are checked already.
    const options = { skipRescale: header.bitDepth === 16, checkCRC: false };
    return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, header.end), options);
  } catch (error) {
    return broken(name, [messageOf(error)]);
  }
}

/**
 * Refuses pixel data that is not exactly as long as the image. pngjs mistakes what is left of its input for what is left
 * of its output: data that is short shows uninitialised memory as pixels, and interlaced data may inflate without end.
 */
function checkPixelData(name: string, { width, height, inflatedBytes, chunks }: PngHeader): void {
  const deflated = Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data));
  let size: number;
  try {
    size = inflateSync(deflated, { maxOutputLength: inflatedBytes }).length;
  } catch (error) {
    const tooLong = error instanceof RangeError;
    const limit = `its pixel data inflates to more than the ${inflatedBytes} bytes of ${width}x${height} pixels`;
    broken(name, [tooLong ? limit : `its pixel data cannot be inflated: ${messageOf(error)}`]);
  }
  if (size < inflatedBytes) {
    broken(name, [
      `its pixel data inflates to ${size} bytes, ${width}x${height} pixels need ${inflatedBytes}`,
    ]);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const COLOUR_TYPE = { 1: 0, 2: 4, 3: 2, 4: 6 } as const;

/** `fast` leaves the pixels uncompressed, for a file that is read again at once. */
export function encodePng(image: Image, fast = false): Uint8Array {
  const { width, height, channels, depth, data } = image;
  const png = new PNG();
  png.width = width;
  png.height = height;
  // pngjs takes 16-bit samples in native byte order from the start of the underlying buffer, whatever the view.
  const whole = data.byteLength === data.buffer.byteLength ? data : data.slice();
  png.data = Buffer.from(whole.buffer);
  const colorType = COLOUR_TYPE[channels];
  const bytes = PNG.sync.write(png, {
    bitDepth: depth,
    colorType,
    inputColorType: colorType,
    inputHasAlpha: hasAlpha(channels),
    ...(fast && { deflateLevel: 0, filterType: 0 }),
  });
  return insertChunks(bytes, pngMetaChunks(image));
}
