import { Gauge, Registry } from 'prom-client';
import { version } from '../../../base/paths.js';
import type { LinkSettings } from '../../link/types.js';
import type { LinkReport } from '../../link/verify/verify.js';
import { collectProcessMetrics } from '../../metrics/process-metrics.js';
import type { FaultOptions } from '../faults/fault.js';
import type { ActiveFault } from '../faults/fault-board.js';
import type { RunObserver } from '../run/run-observer.js';
import type { TierControl } from '../runtimes/runtime.js';
import { TierWatch } from '../tiers/tier-watch.js';
import { BoundedLabel } from './bounded-label.js';
import { LinkMetrics } from './link-metrics.js';
import { type StudyInfo, StudyMetrics } from './study-metrics.js';
import { TierMetrics } from './tier-metrics.js';

/** Who knows which faults are in force: a `FaultBoard`. */
interface FaultSource {
  active(): readonly Pick<ActiveFault, 'fault' | 'options'>[];
}

const MAX_FAULTS = 50;
const MAX_TARGETS = 20;

/**
 * The orchestrator's figures for Prometheus; docs/metrics.md lists them. Labels are bounded: strategies by
 * `MAX_STRATEGIES` and anew with each study, and no item's name is one.
 */
export class OrchestratorMetrics {
  readonly registry = new Registry();
  readonly #study: StudyMetrics;
  readonly #links: LinkMetrics;
  /** Limits and use of the tiers that are watched. */
  readonly tiers = new TierWatch();
  #faults: FaultSource = { active: () => [] };

  constructor() {
    collectProcessMetrics(this.registry);
    const registers = [this.registry];
    this.#study = new StudyMetrics(this.registry);
    this.#links = new LinkMetrics(this.registry);
    new TierMetrics(this.registry, this.tiers);
    const faultNames = new BoundedLabel(MAX_FAULTS);
    const targets = new BoundedLabel(MAX_TARGETS);
    const inForce = () => this.#faults.active();
    new Gauge({
      name: 'tierbed_faults_in_force',
      help: 'Faults that are in force now, by kind and by the tier or link they were done to.',
      labelNames: ['fault', 'target'],
      registers,
      collect() {
        this.reset();
        for (const { fault, options } of inForce()) {
          this.inc({ fault: faultNames.of(fault), target: targets.of(faultTarget(options)) });
        }
      },
    });
    new Gauge({
      name: 'tierbed_orchestrator_build_info',
      help: 'Always 1; what runs here is in the labels.',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1);
  }

  /** Sees one run of a study; what was counted for the run before it goes when this one has the testbed. */
  observer(info: StudyInfo): RunObserver {
    return {
      opened: (testbed, faults) => {
        this.#study.began(info);
        this.watchTiers(testbed.tiers);
        this.watchFaults(faults);
      },
      linkSet: (link) => this.setLinks([link]),
      closed: () => this.#study.ended(),
      proved: (report, set) => {
        this.setLinks(set);
        this.linksProved(report);
      },
      recorded: (row, done, total) => this.#study.recorded(row, done, total),
    };
  }

  /** What the links are set to from now on; links that are not named stay as they were. */
  setLinks(links: readonly LinkSettings[]): void {
    this.#links.set(links);
  }

  /** What a proof of the links measured. */
  linksProved(report: LinkReport): void {
    this.#links.proved(report);
  }

  /** Who is asked for the faults in force when somebody asks for the metrics. */
  watchFaults(faults: FaultSource): void {
    this.#faults = faults;
  }

  /** The tiers whose limits and use are shown as the runtime sees them; undefined: none. */
  watchTiers(control: TierControl | undefined): void {
    this.tiers.watch(control);
  }
}

/** The tier or the link that a fault's options name. */
function faultTarget({ tier, link }: FaultOptions): string {
  return String(tier ?? link ?? '');
}
