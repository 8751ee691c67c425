// The thread behind codec.ts.

import type { CodecCalls } from './codec.js';
import { buffersOf, decode, encode } from './pixels.js';
import { serve } from './thread.js';

serve<CodecCalls>(
  { decode, encode },
  { transferOf: (result) => ('rgb' in result ? buffersOf(result) : []), inOrder: false },
);
