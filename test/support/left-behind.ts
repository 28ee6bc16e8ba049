import type { ComposeTestbed } from './compose-testbed.js';

/** What Docker still has of a testbed: `KIND NAME` for each container, network and volume. */
export async function leftOf(testbed: ComposeTestbed): Promise<string[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${testbed.project}`];
  const kinds: readonly (readonly [kind: string, ...args: string[]])[] = [
    ['container', 'ps', '--all', '--format', '{{.Names}}', ...filter],
    ['network', 'network', 'ls', '--format', '{{.Name}}', ...filter],
    ['volume', 'volume', 'ls', '--format', '{{.Name}}', ...filter],
  ];
  const left: string[] = [];
  for (const [kind, ...args] of kinds) {
    const { stdout } = await testbed.exec('docker', args);
    left.push(...stdout.split('\n').flatMap((name) => (name === '' ? [] : [`${kind} ${name}`])));
  }
  return left;
}

/**
 * The rules of the firewall of Docker's machine, sorted, without counters: of both iptables, where there are both. Rules
 * are those of its namespace; a container looks at them, so that the tests need not be root, nor on that machine.
 */
export async function rulesOfHost(testbed: ComposeTestbed): Promise<string[]> {
  const look = 'for s in iptables-nft-save iptables-legacy-save; do echo "# $s"; $s 2>/dev/null; done';
  const { stdout } = await testbed.exec('docker', [
    ...['run', '--rm', '--network', 'host', '--user', 'root', '--cap-add', 'NET_ADMIN', '--cap-add', 'NET_RAW'],
    ...['--entrypoint', 'bash', testbed.env.TIERBED_IMAGE as string, '-c', look],
  ]);
  // Counters stand in brackets, comments have the time.
  const rules = stdout.split('\n').filter((line) => line.startsWith('-A') || line.startsWith(':'));
  return rules.map((line) => line.replace(/ \[\d+:\d+\]$/, '')).sort();
}
