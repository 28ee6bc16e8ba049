import { Random } from '../../../../base/random.js';
import type { Arrival, EchoTask, Exchange, LinkProbe } from '../../../../services/link/probe/link-probe.js';
import { drawDelayMs } from '../../../../services/link/shaping/jitter.js';
import { Loss } from '../../../../services/link/shaping/loss.js';
import type { Direction, DirectionSettings, LinkSettings, OpenLinks } from '../../../../services/link/types.js';
import { transferMs } from '../../../../services/link/wire.js';

/** Links that do what they are told, computed and not run: what is measured over them has no error but chance. */
export function simulatedLinks(
  links: readonly LinkSettings[],
  seed = 1,
): OpenLinks & { readonly sets: LinkSettings[] } {
  const inForce = new Map(links.map((link) => [link.name, link]));
  const random = new Random(seed);
  const sets: LinkSettings[] = [];
  const probe = (via: readonly LinkSettings['name'][]): LinkProbe => {
    const way = (direction: Direction): DirectionSettings[] => {
      const all = via.map((name) => (inForce.get(name) as LinkSettings)[direction]);
      return direction === 'up' ? all : all.reverse();
    };
    const blocked = () => via.some((name) => inForce.get(name)?.blocked);
    const delayMs = (direction: Direction) => way(direction).reduce((sum, s) => sum + drawDelayMs(s, random), 0);
    const cross = (direction: Direction, { wireBytes, count, intervalMs }: EchoTask): Arrival[] => {
      let packets = Array.from({ length: count }, (_, sequence) => {
        const sentMs = 1000 + sequence * intervalMs;
        return { sequence, sentMs, atMs: sentMs };
      });
      for (const settings of way(direction)) {
        const loss = new Loss(random);
        const deliveries = settings.trace?.kind === 'deliveries' ? settings.trace : undefined;
        let chance = 0;
        let leftMs = 0;
        let outMs = 0;
        packets = packets.flatMap((packet) => {
          if (loss.takes(settings.lossPct ?? 0, settings.lossBurstPackets)) return [];
          if (deliveries) {
            const timeOf = (i: number) =>
              Math.floor(i / deliveries.atMs.length) * deliveries.lengthMs +
              (deliveries.atMs[i % deliveries.atMs.length] as number);
            while (timeOf(chance) < packet.atMs) chance++;
            leftMs = timeOf(chance++);
          } else {
            const tookMs = settings.rateMbps ? (wireBytes * 8) / (settings.rateMbps * 1000) : 0;
            if (tookMs > 0 && leftMs - packet.atMs > (settings.queueBytes / wireBytes) * tookMs) return [];
            leftMs = Math.max(leftMs, packet.atMs) + tookMs;
          }
          outMs = Math.max(outMs, leftMs + drawDelayMs(settings, random));
          return [{ ...packet, atMs: outMs }];
        });
      }
      return packets.map(({ sequence, sentMs, atMs }) => ({ sequence, sentMs, arrivedMs: atMs }));
    };
    return {
      async exchange({ upBytes, downBytes, count }) {
        if (blocked()) throw new Error('nothing comes');
        const ms = (direction: Direction, bytes: number) =>
          transferMs(
            bytes,
            way(direction).map((s) => s.rateMbps),
          ) + delayMs(direction);
        return Array.from({ length: count }, (): Exchange => {
          const [upMs, downMs] = [ms('up', upBytes), ms('down', downBytes)];
          const tail = (direction: Direction, bytes: number) => {
            const half = Math.round(bytes / 2);
            return {
              bytes: half,
              ms:
                transferMs(
                  half,
                  way(direction).map((s) => s.rateMbps),
                ) || 0.001,
            };
          };
          return {
            upMs,
            downMs,
            roundTripMs: upMs + downMs,
            upTail: tail('up', upBytes),
            downTail: tail('down', downBytes),
          };
        });
      },
      packets: {
        datagrams: async ({ direction, ...task }) => cross(direction, task),
        async echo(task) {
          const back = new Map(cross('down', task).map((a) => [a.sequence, a.arrivedMs - a.sentMs]));
          const none = { ms: 0, bytes: 0 };
          return cross('up', task).flatMap(({ sequence, sentMs, arrivedMs }) => {
            const [upMs, downMs] = [arrivedMs - sentMs, back.get(sequence)];
            if (downMs === undefined) return [];
            return [{ upMs, downMs, roundTripMs: upMs + downMs, upTail: none, downTail: none }];
          });
        },
      },
      close: async () => {},
    };
  };
  return {
    driver: { name: 'simulated', why: 'it is a test' },
    addresses: new Map(),
    addRoute: async ({ target }) => target,
    removeRoute: async () => {},
    stats: async () => new Map(),
    inForce: async () => [...inForce.values()],
    close: async () => {},
    async set(link) {
      sets.push(link);
      inForce.set(link.name, link);
    },
    probe: async (via) => probe(via),
    sets,
  };
}
