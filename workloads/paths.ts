import { isAbsolute, resolve } from 'node:path';
import { TierbedError } from '../base/errors.js';

/**
 * Expands `${NAME}` in a path of a study from the environment, and resolves it against the study's folder.
 *
 * @throws TierbedError `missing` when a variable is not set or empty
 */
export function resolveStudyPath(path: string, baseDir: string, env: NodeJS.ProcessEnv = process.env): string {
  const expanded = path.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => {
    const value = env[name];
    if (!value) {
      throw new TierbedError('missing', `'${path}' needs the environment variable ${name}, which is not set`, {
        fix: `Set ${name}, e.g. ${name}=/path/to/data tierbed run STUDY, or write the path in the study.`,
      });
    }
    return value;
  });
  return isAbsolute(expanded) ? expanded : resolve(baseDir, expanded);
}
