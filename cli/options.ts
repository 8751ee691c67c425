// Option values that several commands take, read from text.

import { type Command, Option } from 'commander';
import { fail } from '../diagnostics.js';
import { numberValue } from '../dsl/numbers.js';
import type { Size } from '../runtime/schedule.js';
import { DEFAULT_NETWORK } from './package.js';

export type Settings = Readonly<Record<string, number>>;

/** The argument and the options of a command that say which network and which weights. */
export function networkOptions(command: Command): Command {
  return command
    .argument(
      '[file.sr]',
      'the network: your own file, or esrgan, compact, … that come with this program',
      DEFAULT_NETWORK,
    )
    .option(
      '-w, --weights <path>',
      ".pth, .safetensors, ncnn .param or .bin, TensorFlow.js model.json, or a run's folder; the default network brings its own",
    )
    .option('--style <name>', 'which of the weights that come along: natural (the default), or sharp')
    .option('--blend <file>', 'second weights, to be mixed with the first')
    .option('--alpha <number>', 'the share of --blend or --style, 0 to 1', numberWithin('--alpha', 0, 1))
    .addOption(setOption());
}

/** `--set blocks=6 --set features=32` */
export function setOption(): Option {
  return new Option('--set <name=value>', "a parameter's value, in place of the file's (repeatable)")
    .default({}, 'as the file says')
    .argParser((text, settings: Settings) => ({ ...settings, ...parseSetting(text) }));
}

function parseSetting(text: string): Settings {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals)).trim();
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    fail(`--set ${text}: this is not name=value`, { help: 'write it like `--set blocks=6`' });
  }
  const [, sign, value] = /^\s*(-?)(.*?)\s*$/s.exec(text.slice(equals + 1))!;
  const start = text.lastIndexOf(value!);
  const span = { source: { name: '--set', text }, start, end: start + value!.length };
  return { [name]: (sign ? -1 : 1) * numberValue(value!, span) };
}

/** For what networks run on. */
export function deviceOption(): Option {
  return new Option(
    '--device <which>',
    'auto, hardware, software, cpu (through ONNX Runtime), or a part of its name',
  )
    .default('auto')
    .argParser(deviceName);
}

/** For what needs WebGPU. */
export function gpuOption(): Option {
  return new Option('--device <which>', 'auto, hardware, software, or a part of its name')
    .default('auto')
    .argParser((device) => {
      if (device !== 'cpu') return deviceName(device);
      return fail('--device cpu is ONNX Runtime, which runs networks: `src run` and `src eval` take it', {
        help: 'use --device software, which computes on the CPU too',
      });
    });
}

/** An empty part is in every name. */
function deviceName(device: string): string {
  if (device.trim() !== '') return device;
  return fail('--device names no device', { help: 'leave it out, or use --device auto' });
}

export function precisionOption(description: string): Option {
  return new Option('--precision <type>', description).choices(['f32', 'f16']);
}

/** `--size 640x480` */
export function sizeOption(description: string): Option {
  return new Option('--size <WxH>', description)
    .argParser(parseSize)
    .default({ width: 256, height: 256 }, '256x256');
}

function parseSize(text: string): Size {
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text) ?? [];
  if (width === undefined || height === undefined) {
    return fail(`--size ${text}: this is not WIDTHxHEIGHT, both from 1 to 99999`, {
      help: 'write it like `--size 640x480`',
    });
  }
  return { width: Number(width), height: Number(height) };
}

/** The file of the trace; `true` where it is to have its usual name. */
export type ProfileFile = string | true;

/** `usual` says where the trace goes if no file is named. */
export function profileOption(what: string, usual: string): Option {
  return new Option(
    '--profile [file.json]',
    `say what each layer of ${what} takes, and write a trace for Perfetto; by default ${usual}`,
  ).argParser((file) => {
    if (/\.json$/i.test(file)) return file;
    return fail(`--profile ${file}: the file of a trace ends in .json`, {
      help: 'name one, `--profile trace.json`, or put `--profile` after everything else',
    });
  });
}

/** A number within bounds, both included. */
export function numberWithin(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    return fail(`${option} ${text}: this is not a number from ${min} to ${max}`);
  };
}

/** With the endings of the language: `2000`, `200k`, `1M`. */
export function wholeNumber(option: string, text: string): number {
  const [, digits, ending = ''] = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text) ?? [];
  const value = Number(`${digits}${ENDINGS[ending]}`);
  if (Number.isInteger(value) && value >= 1 && value < 1e9) return value;
  return fail(`${option} ${text}: this is not a whole number above 0`, {
    help: 'write it like `64`, `2000` or `200k`',
  });
}

const ENDINGS: Readonly<Record<string, string>> = { '': '', k: 'e3', M: 'e6' };
