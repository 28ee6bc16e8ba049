import { type Fault, optionsSchema, tierOf, tierOption } from './fault.js';

export const memorySqueeze: Fault = {
  name: 'memory-squeeze',
  help: 'A tier has less memory for a while.',
  options: optionsSchema({ tier: tierOption, memoryMiB: { type: 'integer', minimum: 16 } }, ['tier', 'memoryMiB']),
  target: ({ tier, memoryMiB }) => `${tier} ${memoryMiB} MiB`,
  claims: ({ tier }) => [`tier/${tier}/memory`],
  async check({ testbed }, options) {
    await testbed.tiers.limits(tierOf(options));
  },
  async start({ testbed: { tiers } }, options) {
    const tier = tierOf(options);
    const before = await tiers.limits(tier);
    await tiers.setLimits(tier, { memoryMiB: options.memoryMiB as number });
    return async () => {
      await tiers.setLimits(tier, { memoryMiB: before.memoryMiB });
    };
  },
};
