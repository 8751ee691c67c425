// The door of the language: what the layers above may use.

export type { Network, Shape } from './networks.js';
export { parse } from './parse.js';
export { type LoadOptions, load, type Program } from './program.js';
