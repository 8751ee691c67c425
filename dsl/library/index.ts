// The standard library's texts. They are strings, not files, because the core runs in a browser.

import type { Source } from '../../diagnostics.js';
import { blocks } from './blocks.js';
import { losses } from './losses.js';
import { networks } from './networks.js';

export const LIBRARY: readonly Source[] = [
  { name: 'library/blocks.sr', text: blocks.trimStart() },
  { name: 'library/networks.sr', text: networks.trimStart() },
  { name: 'library/losses.sr', text: losses.trimStart() },
];
