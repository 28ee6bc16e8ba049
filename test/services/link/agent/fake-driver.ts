import type { InterfaceDriver, OpenInterface } from '../../../../services/link/interface-driver.js';
import type { DirectionSettings } from '../../../../services/link/types.js';

/** Remembers what it is told; shapes nothing. */
export class FakeDriver implements InterfaceDriver {
  readonly name: string;
  readonly side: 'egress' | 'ingress';
  readonly told: { readonly interfaceName: string; readonly settings: DirectionSettings; readonly blocked: boolean }[] =
    [];
  readonly closed: string[] = [];
  lacking: string | undefined;
  failure: Error | undefined;

  constructor(name = 'fake', side: 'egress' | 'ingress' = 'ingress') {
    this.name = name;
    this.side = side;
  }

  async unavailable(): Promise<string | undefined> {
    return this.lacking;
  }

  async open(interfaceName: string): Promise<OpenInterface> {
    if (this.failure) throw this.failure;
    return {
      set: async (settings, blocked = false) => {
        if (this.failure) throw this.failure;
        this.told.push({ interfaceName, settings, blocked });
      },
      stats: async () => ({ packets: 10, bytes: 10 * 1514, lostPackets: 0, droppedPackets: 0, queuedBytes: 0 }),
      close: async () => {
        this.closed.push(interfaceName);
      },
    };
  }
}
