import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../base/paths.js';
import { type DockerOptions, docker } from './docker.js';

/** The label that an image has the digest of its sources in, and the build argument that it gets it by. */
export const SOURCES_LABEL = 'tierbed.sources';
export const SOURCES_ARGUMENT = 'TIERBED_SOURCES';

/** What is not in the build's context, wherever it lies: the patterns of .dockerignore that begin with two asterisks. */
const LEFT_OUT = /^node_modules$|\.log$/;

/**
 * A digest of all that the testbed's image is made of: the files that .dockerignore lets through, and the Dockerfile.
 *
 * @param root the folder with compose.yaml
 * @returns undefined where the sources are not there
 */
export async function sourcesDigest(root: string = packageRoot): Promise<string | undefined> {
  try {
    const ignore = await readFile(join(root, '.dockerignore'), 'utf8');
    const given = [...ignore.matchAll(/^!(.+?)\/?\s*$/gm)].map(([, name]) => name as string);
    const files = await Promise.all([...given, 'docker/Dockerfile'].map((name) => filesOf(root, name)));
    const hash = createHash('sha256');
    for (const name of [...new Set(files.flat())].sort()) {
      const content = createHash('sha256')
        .update(await readFile(join(root, name)))
        .digest('hex');
      hash.update(`${content}  ${name}\n`);
    }
    return hash.digest('hex').slice(0, 16);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function filesOf(root: string, name: string): Promise<string[]> {
  const found = await readdir(join(root, name), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (!found) return [name];
  const inside = found
    .filter((entry) => !LEFT_OUT.test(entry.name))
    .map((entry) => (entry.isDirectory() ? filesOf(root, `${name}/${entry.name}`) : [`${name}/${entry.name}`]));
  return (await Promise.all(inside)).flat();
}

/** The digest of the sources that an image was built of: '' of one that does not say it, undefined when there is none. */
export async function sourcesOfImage(image: string, options: DockerOptions): Promise<string | undefined> {
  const format = `{{index .Config.Labels "${SOURCES_LABEL}"}}`;
  const { code, stdout } = await docker(['image', 'inspect', '--format', format, image], options);
  return code === 0 ? stdout.trim() : undefined;
}
