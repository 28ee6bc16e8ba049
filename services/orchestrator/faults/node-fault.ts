import { type Fault, type FaultContext, type FaultOptions, optionsSchema, tierOf, tierOption } from './fault.js';

/** A fault that a node does itself when it is told to: those of `services/node/faults/`. */
export function nodeFault(
  name: string,
  help: string,
  properties: Readonly<Record<string, object>>,
  required: readonly string[],
  more: (context: FaultContext) => FaultOptions = () => ({}),
): Fault {
  return {
    name,
    help,
    options: optionsSchema({ tier: tierOption, ...properties }, ['tier', ...required]),
    target: ({ tier }) => String(tier),
    claims: ({ tier }) => [`tier/${tier}/${name}`],
    async start(context, options) {
      const { client } = context.testbed.nodes[tierOf(options)];
      const { tier: _, ...rest } = options;
      await client.setFault(name, { ...more(context), ...rest });
      return () => client.setFault(name, undefined);
    },
  };
}
