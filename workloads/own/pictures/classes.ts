/**
 * What tells one kind of picture from the others. Both functions take coordinates with the object's centre at the origin,
 * its rotation undone, and its radius 1; every kind keeps its identity under rotation, reflection and scaling.
 */
export interface PictureClass {
  readonly name: string;
  /** About the distance to the outline, positive inside. */
  outline(x: number, y: number): number;
  /** Which of the object's two colours: positive the first, negative the second. */
  pattern?(x: number, y: number): number;
}

const disc = (x: number, y: number): number => 1 - Math.sqrt(x * x + y * y);

/** A regular polygon with its corners at radius 1. */
function polygon(corners: number): (x: number, y: number) => number {
  const sector = (2 * Math.PI) / corners;
  const inner = Math.cos(sector / 2);
  return (x, y) => {
    const angle = Math.atan2(y, x);
    const folded = angle - sector * Math.floor(angle / sector) - sector / 2;
    return inner - Math.sqrt(x * x + y * y) * Math.cos(folded);
  };
}

/** A star whose outline swings between the radii 1 and `inner`. */
function star(points: number, inner: number): (x: number, y: number) => number {
  const sector = (2 * Math.PI) / points;
  const [tipX, tipY] = [1, 0];
  const [notchX, notchY] = [inner * Math.cos(sector / 2), inner * Math.sin(sector / 2)];
  const length = Math.sqrt((notchX - tipX) ** 2 + (notchY - tipY) ** 2);
  return (x, y) => {
    const angle = Math.atan2(y, x);
    const folded = Math.abs(angle - sector * Math.round(angle / sector));
    const r = Math.sqrt(x * x + y * y);
    const [px, py] = [r * Math.cos(folded), r * Math.sin(folded)];
    return ((notchX - tipX) * (tipY - py) - (tipX - px) * (notchY - tipY)) / -length;
  };
}

/** The twelve kinds of picture: eight outlines and four patterns, the latter all on a disc. */
export const PICTURE_CLASSES: readonly PictureClass[] = [
  { name: 'disc', outline: disc },
  { name: 'ring', outline: (x, y) => 0.3 - Math.abs(0.7 - Math.sqrt(x * x + y * y)) },
  { name: 'triangle', outline: polygon(3) },
  { name: 'square', outline: polygon(4) },
  { name: 'pentagon', outline: polygon(5) },
  { name: 'star', outline: star(5, 0.42) },
  { name: 'crescent', outline: (x, y) => Math.min(disc(x, y), Math.sqrt((x - 0.55) ** 2 + y * y) - 0.72) },
  {
    name: 'cross',
    outline: (x, y) => {
      const [ax, ay] = [Math.abs(x), Math.abs(y)];
      return Math.max(Math.min(0.28 - ax, 1 - ay), Math.min(0.28 - ay, 1 - ax));
    },
  },
  { name: 'stripes', outline: disc, pattern: (x) => Math.sin(11 * x) },
  { name: 'checks', outline: disc, pattern: (x, y) => Math.sin(8 * x) * Math.sin(8 * y) },
  {
    name: 'dots',
    outline: disc,
    pattern: (x, y) => {
      const [dx, dy] = [x * 2.4 - Math.round(x * 2.4), y * 2.4 - Math.round(y * 2.4)];
      return 0.3 - Math.sqrt(dx * dx + dy * dy);
    },
  },
  { name: 'waves', outline: disc, pattern: (x, y) => Math.sin(11 * x + 2.2 * Math.sin(5 * y)) },
];

/** The kind that the picture of this index shows: all kinds in turn. */
export function className(index: number): string {
  return (PICTURE_CLASSES[index % PICTURE_CLASSES.length] as PictureClass).name;
}
