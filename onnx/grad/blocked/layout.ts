import { floatAttr, intAttr } from '../../attribute.js';
import { float } from '../../build.js';
import type { GradNode } from '../grad-node.js';
import { isPositive } from '../is-positive.js';
import type { GradRule } from '../rule.js';
import { BLOCKED } from './domain.js';
import { BlockedEmitter, type Picture } from './emit.js';

function emitterOf(at: GradNode): BlockedEmitter {
  return new BlockedEmitter(at.builder, intAttr(at.node, 'block') as number);
}

/** From the plain layout into the blocked one: the gradient goes back. */
export const toBlocks: GradRule = {
  opTypes: ['Block'],
  domain: BLOCKED,
  gradient: (at) => [emitterOf(at).plain(at.dY, at.inputShape(0)[1] as number)],
};

/** From the blocked layout into the plain one. */
export const fromBlocks: GradRule = {
  opTypes: ['Unblock'],
  domain: BLOCKED,
  gradient: (at) => [emitterOf(at).blocked(at.dY)],
};

/** The mean over places: each gets an equal share. */
export const blockedPool: GradRule = {
  opTypes: ['GlobalAveragePool'],
  domain: BLOCKED,
  gradient(at) {
    const to = emitterOf(at);
    const [n, c, h, w] = at.inputShape(0) as unknown as Picture;
    const [all, b] = [to.filled(c), to.block];
    const share = at.emit('Mul', [at.dY, at.scalar(1 / (h * w))]);
    const full = all === c ? share : at.emit('Pad', [share, at.builder.int64([0, 0, 0, 0, 0, all - c, 0, 0])]);
    const spread = at.emit('Expand', [at.reshape(full, [n, all / b, 1, b]), at.builder.int64([n, all / b, h * w, b])]);
    return [at.reshape(spread, [n, all, h, w])];
  },
};

/** Y = min(max(X, low), high) with constant bounds, known from Y alone, so that X need not stay: dX = dY within them. */
export const blockedClip: GradRule = {
  opTypes: ['Clip'],
  domain: BLOCKED,
  gradient(at) {
    const [low, high] = [floatAttr(at.node, 'low') as number, floatAttr(at.node, 'high') as number];
    const y = at.output();
    const above = low === 0 ? isPositive(at, y) : steep(at, y, 1, low);
    const masked = at.emit('Mul', [at.dY, above]);
    return [at.emit('Mul', [masked, steep(at, y, -1, high)])];
  },
};

/** 1 where sign * (x - bound) > 0, else 0: so steep that the next number beside the bound is 1. */
function steep(at: GradNode, x: string, sign: number, bound: number): string {
  const slope = 2 ** 100;
  return at.emit('HardSigmoid', [x], { alpha: float(sign * slope), beta: float(-sign * bound * slope) });
}
