// As much of the peers' interfaces as is used here, so that types are checked where they are not installed.

declare module '@tensorflow/tfjs' {
  export interface Tensor {
    readonly shape: number[];
    readonly rank: number;
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export interface Variable extends Tensor {
    readonly name: string;
  }
  interface Conv {
    x: Tensor;
    filter: Tensor;
    strides: number;
    pad: number;
    bias?: Tensor;
    activation?: 'leakyrelu' | 'prelu';
    leakyreluAlpha?: number;
    preluActivationWeights?: Tensor;
  }
  export const fused: { conv2d(conv: Conv): Tensor };
  export const image: { resizeNearestNeighbor(x: Tensor, size: [number, number]): Tensor };
  export const train: {
    adam(
      rate: number,
      beta1: number,
      beta2: number,
      epsilon: number,
    ): { minimize(loss: () => Tensor, returnCost: true, variables: readonly Variable[]): Tensor };
  };
  export function abs(x: Tensor): Tensor;
  export function add(a: Tensor, b: Tensor | number): Tensor;
  export function concat(tensors: readonly Tensor[], axis: number): Tensor;
  export function conv2d(x: Tensor, filter: Tensor, strides: number, pad: number): Tensor;
  export function leakyRelu(x: Tensor, slope: number): Tensor;
  export function mean(x: Tensor): Tensor;
  export function mul(a: Tensor, b: Tensor | number): Tensor;
  export function prelu(x: Tensor, slope: Tensor): Tensor;
  export function ready(): Promise<void>;
  export function reshape(x: Tensor, shape: readonly number[]): Tensor;
  export function setBackend(name: string): Promise<boolean>;
  export function sub(a: Tensor, b: Tensor | number): Tensor;
  export function tensor(data: Float32Array, shape: readonly number[]): Tensor;
  export function tidy<T>(work: () => T): T;
  export function transpose(x: Tensor, axes: readonly number[]): Tensor;
  export function variable(initial: Tensor, trainable: boolean, name: string): Variable;
}

declare module '@tensorflow/tfjs-backend-webgpu';

declare module 'onnxruntime-common' {
  export interface Tensor {
    readonly dims: readonly number[];
    readonly data: Float32Array;
  }
  export interface Session {
    readonly inputNames: readonly string[];
    readonly outputNames: readonly string[];
    run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  }
  export interface Ort {
    readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor;
    readonly InferenceSession: {
      create(model: string | Uint8Array, options: Readonly<Record<string, unknown>>): Promise<Session>;
    };
  }
}

declare module 'onnxruntime-node' {
  const ort: import('onnxruntime-common').Ort;
  export default ort;
}

declare module 'onnxruntime-web/webgpu' {
  export * from 'onnxruntime-web';
  export const env: { wasm: { numThreads: number }; logLevel: string };
  export const Tensor: import('onnxruntime-common').Ort['Tensor'];
  export const InferenceSession: import('onnxruntime-common').Ort['InferenceSession'];
}
