import type { PostprocessSpec } from '../types.js';
import type { Measured, Misfit } from './metric.js';

/** Why a metric of classes and their labels does not fit; undefined when it does. */
export function classMisfit(name: string, { postprocess, items }: Measured): Misfit | undefined {
  if (postprocess.kind !== 'argmax') {
    return {
      at: ['metric'],
      message: `'${name}' compares classes, and the postprocessing '${postprocess.kind}' gives none`,
      fix: 'Postprocess with `{ kind: argmax, output: OUTPUT }`, or choose another metric.',
    };
  }
  return labelMisfit(name, items) ?? strangerMisfit(postprocess, items);
}

/** Why a metric that needs labels cannot have them. */
export function labelMisfit(name: string, items: Measured['items']): Misfit | undefined {
  const without = items.filter(({ label }) => label === '');
  const [first] = without;
  if (!first) return undefined;
  const all = without.length === items.length;
  return {
    at: all ? ['metric'] : ['data'],
    message: all
      ? `'${name}' needs labels, and the data has none`
      : `${without.length} of ${items.length} items have no label, which '${name}' needs; the first is '${first.id}'`,
    fix: all
      ? "Name the labels in 'data', or choose a metric that needs none: none, agreement."
      : 'Label them, or leave them out of the data.',
  };
}

/** Labels none of which is a class that can be predicted: names where predictions are indexes, or the other way round. */
function strangerMisfit(
  { classes }: Extract<PostprocessSpec, { kind: 'argmax' }>,
  items: Measured['items'],
): Misfit | undefined {
  const known = classes && new Set(classes);
  const isClass = (label: string): boolean => (known ? known.has(label) : /^\d+$/.test(label));
  if (items.some(({ label }) => isClass(label))) return undefined;
  const labels = [...new Set(items.map(({ label }) => label))].slice(0, 3).map((label) => `'${label}'`);
  return {
    at: ['postprocess', ...(classes ? ['classes'] : [])],
    message: classes
      ? `no label is among the classes: the labels are ${labels.join(', ')}..., the classes ${classes.slice(0, 3).join(', ')}...`
      : `predictions are indexes of classes, and no label is one: the labels are ${labels.join(', ')}...`,
    fix: classes
      ? "Write the labels as 'classes' has them, or leave 'classes' out where the labels are indexes."
      : "Name the classes in the order of the model's scores, as the labels have them, with 'classes'.",
  };
}
