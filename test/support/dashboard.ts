import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../base/paths.js';

export interface PanelQuery {
  readonly panel: string;
  /** PromQL, with Grafana's variables filled in. */
  readonly expr: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly editable: boolean;
  readonly panels: readonly Panel[];
  readonly annotations: {
    readonly list: readonly { readonly expr?: string; readonly datasource: { readonly uid: string } }[];
  };
}

/** docker/grafana/dashboards/tierbed.json */
export function readDashboard(): Dashboard {
  const path = join(packageRoot, 'docker', 'grafana', 'dashboards', 'tierbed.json');
  return JSON.parse(readFileSync(path, 'utf8')) as Dashboard;
}

/** Every query of every panel, as Grafana would ask it with all strategies chosen. */
export function panelQueries(): PanelQuery[] {
  return readDashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replaceAll('$__rate_interval', '30s').replaceAll('$strategy', '.*'),
    })),
  );
}
