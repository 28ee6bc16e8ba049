import { stringify } from 'yaml';
import { writtenLink } from './links.js';
import type { StudyFile } from './study.js';

/** A study with every default and preset written out, as a study that can be run again. */
export function studyAsYaml(file: StudyFile): string {
  const { study } = file;
  const recipes = Object.fromEntries(
    Object.entries(study.recipes).map(([name, steps]) => [
      name,
      steps.map(({ operator, options }) => (Object.keys(options).length === 0 ? operator : { [operator]: options })),
    ]),
  );
  const links = { 'mobile-edge': writtenLink(file, 'mobile-edge'), 'edge-cloud': writtenLink(file, 'edge-cloud') };
  return `# Every default of ${file.path} written out. Relative paths start at that file's folder.\n${stringify({ ...study, recipes, links })}`;
}
