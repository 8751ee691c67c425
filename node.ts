// The part of the library that needs Node: finding a device, reading and writing image files.

export { decodeImage } from './cli/images/decode.js';
export { encodeImage } from './cli/images/encode.js';
export type { Image, Planes } from './formats/image.js';
export { fromPlanes, toPlanes } from './formats/pixels.js';
export { type DeviceOptions, type NodeDevice, openDevice } from './runtime/node.js';
export { loadOrt, type NodeOrt } from './runtime/node-ort.js';
