const waiting = new Set<() => void>();

/**
 * Has something undone when this process ends before it could do so itself, by `process.exit` too: folders that are not
 * to be left. A process that is killed undoes nothing.
 *
 * @param undo synchronous; what it throws is ignored
 * @returns forgets it: it is done already
 */
export function undoOnExit(undo: () => void): () => void {
  if (waiting.size === 0) process.on('exit', undoAll);
  waiting.add(undo);
  return () => {
    waiting.delete(undo);
    if (waiting.size === 0) process.off('exit', undoAll);
  };
}

function undoAll(): void {
  // The last first: what was made within something goes before it.
  for (const undo of [...waiting].reverse()) {
    try {
      undo();
    } catch {
      // The process is ending: there is nobody left to tell.
    }
  }
}
