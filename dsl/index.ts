// The door of the language: what the layers above may use.

export type { Blend } from './blends.js';
export { definitionNames, definitionOf } from './definitions.js';
export type { Loss } from './losses.js';
export type { Network } from './networks.js';
export { parse } from './parse.js';
export { type LoadOptions, load, type Program } from './program.js';
export type { Recipe, Stage } from './recipe.js';
export type { Adam, Degradation, Schedule } from './recipe-calls.js';
export { printShape, type Shape } from './signature.js';
