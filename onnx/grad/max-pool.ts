import { intAttr, intsAttr } from '../attribute.js';
import type { Attributes, Value } from '../build.js';
import { elementCount } from '../tensor.js';
import type { GradNode } from './grad-node.js';
import type { GradRule } from './rule.js';
import { type Window, windowOf } from './window.js';

/** Y = the largest element of each window: dY goes to the first such element, and is added up where windows overlap. */
export const maxPool: GradRule = {
  opTypes: ['MaxPool'],
  gradient(at) {
    const [x, y] = [at.inputShape(0), at.outputShape()];
    const kernel = intsAttr(at.node, 'kernel_shape');
    if (!kernel) throw at.error('it has no kernel_shape');
    const window = windowOf(at.node, kernel, x.slice(2), y.slice(2));
    const places = placesOf(at);
    return [apart(window, x, y) ? unpooled(at, places, x, window) : scattered(at, places, x)];
  },
};

/*
 * Indices make MaxPool take 5 to 10 times as long, and are cheaper than going without, measured beside the plain forward
 * pass: comparing Y with slices of X by place in the window took 1.3 times as long for 2x2 and more than 1.4 times for
 * 3x3; comparing in full size, with the place as a code so that the first winner is known, 0.75 times for tensors that fit
 * the cache and 1.05 to 1.3 times for others, with several tensors of X's size kept.
 */

/** Where each element of Y was found: its number in X. */
function placesOf(at: GradNode): Value {
  // In the order of a picture's columns they would be numbers of another layout.
  if ((intAttr(at.node, 'storage_order') ?? 0) === 0) return at.savedOutput(1);
  const attributes: Attributes = Object.fromEntries(
    at.node.attributes.filter(({ name }) => name !== 'storage_order').map(({ name, value }) => [name, value]),
  );
  return at.emitMany('MaxPool', [at.input(0)], 2, attributes)[1] as Value;
}

/** Whether no window meets another or ends beyond X, as MaxUnpool wants them. */
function apart({ kernel, strides, dilations }: Window, x: readonly number[], y: readonly number[]): boolean {
  return kernel.every((size, axis) => {
    const stride = strides[axis] as number;
    const end = ((y[axis + 2] as number) - 1) * stride + size;
    return dilations[axis] === 1 && size <= stride && end <= (x[axis + 2] as number);
  });
}

function unpooled(at: GradNode, places: Value, x: readonly number[], { kernel, strides }: Window): Value {
  return at.emit('MaxUnpool', [at.dY, places, at.builder.int64(x)], { kernel_shape: kernel, strides });
}

function scattered(at: GradNode, places: Value, x: readonly number[]): Value {
  const zeros = at.emit('ConstantOfShape', [at.builder.int64([elementCount(x)])]);
  const [flatPlaces, flat] = [at.reshape(places, [-1]), at.reshape(at.dY, [-1])];
  return at.reshape(at.emit('ScatterElements', [zeros, flatPlaces, flat], { axis: 0, reduction: 'add' }), x);
}
