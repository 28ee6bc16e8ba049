import { type Fault, optionsSchema, tierOf, tierOption } from './fault.js';

export const nodeKill: Fault = {
  name: 'node-kill',
  help: 'A node ends as by a crash; afterwards it is started and deployed to again.',
  options: optionsSchema({ tier: tierOption, downS: { type: 'number', exclusiveMinimum: 0 } }, ['tier']),
  target: ({ tier }) => String(tier),
  claims: ({ tier }) => [`tier/${tier}`],
  durationS: ({ downS }) => downS as number | undefined,
  async start({ testbed, redeploy }, options) {
    const tier = tierOf(options);
    await testbed.tiers.kill(tier);
    return async () => {
      await testbed.tiers.start(tier);
      await redeploy(tier);
    };
  },
};
