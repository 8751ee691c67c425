// The codec's thread. Unpacking the next image and packing the previous one take as long as a network on a good GPU; in
// the main thread they would stall its queue, and Ctrl-C.

import type { decode, encode } from './pixels.js';
import { Thread } from './thread.js';

export type CodecCalls = { decode: typeof decode; encode: typeof encode };
export type Codec = Thread<CodecCalls>;

export function openCodec(): Codec {
  return new Thread(new URL('./codec-worker.js', import.meta.url));
}
