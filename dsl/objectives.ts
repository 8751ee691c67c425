// What a program's stages minimise: its losses, lowered on patches of the size that recipe and discriminators agree on.

import { fail, internal, type Source, type Span } from '../diagnostics.js';
import { isSymbolic, sym } from '../runtime/dims.js';
import type { Expr } from './ast.js';
import type { LossContext } from './loss-objective.js';
import { type Loss, lowerLoss } from './losses.js';
import type { Module } from './module.js';
import type { Network, NetworkDef } from './networks.js';
import type { Problems } from './problems.js';
import type { Recipe, Stage } from './recipe.js';
import { printShape, type Shape } from './signature.js';

/** A file's networks and its recipe as read. */
export interface Experiment {
  readonly networks: readonly Network[];
  readonly defs: ReadonlyMap<string, NetworkDef>;
  readonly recipe?: Recipe<Expr>;
}

interface Objectives {
  readonly losses: readonly Loss[];
  readonly recipe?: Recipe<Loss>;
}

export function lowerObjectives(
  { networks, defs, recipe }: Experiment,
  module: Module,
  source: Source,
  problems: Problems,
): Objectives {
  const context: LossContext = { module, source, networks: defs, image: imageOf(networks, recipe?.patch) };
  const named = new Map<string, Loss | undefined>();
  const lowerNamed = (name: string, span: Span): Loss | undefined => {
    // A loss that failed is kept too: it is reported once.
    if (!named.has(name))
      named.set(
        name,
        problems.attempt(() => lowerLoss(name, { kind: 'ref', name, span }, context)),
      );
    return named.get(name);
  };
  for (const { name, params, value } of module.losses.values()) {
    if (params.every((param) => param.default)) lowerNamed(name.text, value?.span ?? name.span);
  }
  const unnamed: Loss[] = [];
  const stages = (recipe?.stages ?? []).flatMap((stage): Stage<Loss> | [] => {
    const { name, minimize } = stage;
    const isName = minimize.kind === 'ref';
    const loss = isName
      ? lowerNamed(minimize.name, minimize.span)
      : problems.attempt(() => lowerLoss(name, minimize, context));
    if (!loss) return [];
    if (!isName) unnamed.push(loss);
    const own = problems.attempt(() => {
      checkPatch(stage, loss, networks);
      const [, height] = context.image;
      if (isSymbolic(height) || height === stage.patch) return loss;
      return lowerLoss(loss.name, minimize, { ...context, image: imageOf(networks, stage.patch) });
    });
    return own ? { ...stage, minimize: own } : [];
  });
  return {
    losses: [...named.values(), ...unnamed].filter((loss) => loss !== undefined),
    ...(recipe && { recipe: { ...recipe, stages } }),
  };
}

/** `sr` and `hr`: a patch of the generator's output; without a recipe, what a discriminator of fixed size takes. */
function imageOf(networks: readonly Network[], patch: number | undefined): Shape {
  const [channels] = networks.find(({ role }) => role === 'generator')?.output ?? internal('no generator');
  const fixed = networks.find(({ role, input }) => role === 'discriminator' && typeof input[1] === 'number');
  if (patch !== undefined) return [channels, patch, patch];
  return fixed ? [channels, fixed.input[1], fixed.input[2]] : [channels, sym('h'), sym('w')];
}

/** A discriminator of fixed size sees patches of that size only, also where a stage has a patch of its own. */
function checkPatch({ name, patch, minimize }: Stage<Expr>, loss: Loss, networks: readonly Network[]): void {
  for (const network of networks) {
    const [, height] = network.input;
    if (!loss.networks.includes(network.name) || typeof height !== 'number' || height === patch) continue;
    fail(`stage \`${name}\` gives \`${network.name}\` patches of another size`, {
      span: minimize.span,
      notes: [`\`${network.name}\` takes ${printShape(network.input)}, the patch is ${patch}`],
      help: `use a patch of ${height}`,
    });
  }
}
