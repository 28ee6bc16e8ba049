import { type Fault, optionsSchema, tierOf, tierOption } from './fault.js';

export const nodePause: Fault = {
  name: 'node-pause',
  help: 'A node stands still where it is, its connections open, and goes on afterwards.',
  options: optionsSchema({ tier: tierOption }, ['tier']),
  target: ({ tier }) => String(tier),
  claims: ({ tier }) => [`tier/${tier}`],
  async start({ testbed }, options) {
    const tier = tierOf(options);
    await testbed.tiers.pause(tier);
    return () => testbed.tiers.resume(tier);
  },
};
