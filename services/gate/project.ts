/** Labels that Compose puts on what it makes. */
export const PROJECT_LABEL = 'com.docker.compose.project';
export const SERVICE_LABEL = 'com.docker.compose.service';
const ONE_OFF_LABEL = 'com.docker.compose.oneoff';
/** On containers that Compose made. The other labels are on the image that it built, too, and so on all made from that. */
const MADE_LABEL = 'com.docker.compose.config-hash';

/** Services that something may be done to: all but the gate itself and Grafana. */
const TARGETS: ReadonlySet<string> = new Set([
  ...['mobile', 'edge', 'cloud'],
  ...['mobile-link', 'edge-link', 'cloud-link'],
  ...['orchestrator', 'prometheus'],
]);

/** A container of the project. */
export interface Member {
  readonly id: string;
  readonly service: string;
}

/** What the engine lists, of which only this is looked at. */
export interface Listed {
  readonly Id: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
}

/** The project's own among `listed`, whatever the engine's filter let through; neither what
 * `docker compose run` started nor what somebody started from the project's image. */
export function membersOf<T extends Listed>(listed: readonly T[], project: string): readonly T[] {
  return listed.filter(
    ({ Labels: labels }) =>
      labels?.[PROJECT_LABEL] === project &&
      labels[SERVICE_LABEL] !== undefined &&
      labels[MADE_LABEL] !== undefined &&
      labels[ONE_OFF_LABEL] !== 'True',
  );
}

/** The container that a call is about, or why there is none for it. */
export function memberNamed(target: string, listed: readonly Listed[], project: string): Member | string {
  const members = membersOf(listed, project).map(({ Id, Labels }) => ({
    id: Id,
    service: Labels?.[SERVICE_LABEL] ?? '',
  }));
  const meant = members.filter(({ id, service }) => target === id || target === id.slice(0, 12) || target === service);
  const [member] = meant;
  if (!member) return `this project has no container ${target}`;
  if (meant.length > 1) return `this project has ${meant.length} containers ${target}`;
  return TARGETS.has(member.service) ? member : `nothing may be done to ${member.service}`;
}
