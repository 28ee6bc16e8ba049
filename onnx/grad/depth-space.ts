import { intAttr, stringAttr } from '../attribute.js';
import type { GradRule } from './rule.js';

/** Blocks of pixels to channels: undone. */
export const spaceToDepth: GradRule = {
  opTypes: ['SpaceToDepth'],
  gradient: (at) => [at.emit('DepthToSpace', [at.dY], { blocksize: intAttr(at.node, 'blocksize') })],
};

/** Channels to blocks of pixels, block by block (DCR) or channel by channel (CRD): undone. */
export const depthToSpace: GradRule = {
  opTypes: ['DepthToSpace'],
  gradient(at) {
    const block = intAttr(at.node, 'blocksize') as number;
    if ((stringAttr(at.node, 'mode') ?? 'DCR') === 'DCR') {
      return [at.emit('SpaceToDepth', [at.dY], { blocksize: block })];
    }
    const shape = at.inputShape(0);
    const [n, depth, height, width] = shape as [number, number, number, number];
    const blocks = at.reshape(at.dY, [n, depth / block ** 2, height, block, width, block]);
    return [at.reshape(at.transpose(blocks, [0, 1, 3, 5, 2, 4]), shape)];
  },
};
