import type { CallNode, Group, Profile } from './call-tree.ts';
import { zoomScript } from './flame-zoom.ts';

/** What the colours tell apart. */
const kinds = {
  guest: { label: 'guest code', hue: 17, saturation: 80, lightness: 68 },
  interpreter: { label: 'interpreter', hue: 50, saturation: 84, lightness: 66 },
  translator: { label: 'translator', hue: 212, saturation: 56, lightness: 72 },
  kernel: { label: 'kernel', hue: 142, saturation: 36, lightness: 66 },
  host: { label: 'JavaScript engine', hue: 270, saturation: 8, lightness: 78 },
} as const;
type Kind = keyof typeof kinds;

const kindOf: Readonly<Record<Group, Kind>> = {
  regions: 'guest',
  interpreter: 'interpreter',
  translation: 'translator',
  compilation: 'translator',
  dispatcher: 'translator',
  'system calls': 'kernel',
  kernel: 'kernel',
  'garbage collection': 'host',
  native: 'host',
  idle: 'host',
  profiler: 'host',
};
/** Not the program's doing: left out of the graph and of its total. */
const hidden: readonly Group[] = ['idle', 'profiler'];

// All lengths in SVG units, which are pixels at the size the file asks for.
const width = 1200;
const margin = 16;
const graphWidth = width - 2 * margin;
const top = 92;
const rowHeight = 19;
const footer = 34;
/** Frames narrower than this are left out. */
const minWidth = 0.2;
/** Of the label's font, on average. */
const characterWidth = 6.4;

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/[^\t\n\x20-\ufffd]/g, '?');
const percent = (part: number, whole: number): string => `${((100 * part) / (whole || 1)).toFixed(1)} %`;

/** Microseconds in a unit that suits their size. */
function duration(microseconds: number): string {
  return microseconds < 1e6 ? `${(microseconds / 1e3).toFixed(1)} ms` : `${(microseconds / 1e6).toFixed(2)} s`;
}

/** The colour of a frame: its kind's, a little different for each name so that neighbours can be told apart. */
function colour(kind: Kind, name: string): string {
  let hash = 7;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  const { hue, saturation, lightness } = kinds[kind];
  const spread = kind === 'guest' ? 11 : 3;
  return `hsl(${hue + (hash % (2 * spread + 1)) - spread},${saturation}%,${lightness + ((hash >>> 8) % 9) - 4}%)`;
}

/** What fits into a frame of width `w`. The script has the same. */
function labelFor(w: number, name: string, long: string): string {
  const letters = Math.floor((w - 6) / characterWidth);
  if (long.length <= letters) return long;
  if (name.length <= letters) return name;
  return letters < 3 ? '' : `${name.slice(0, letters - 1)}…`;
}

/** Time in a node and in all below it, by id − 1, without what is hidden. */
function totalTimes(profile: Profile, self: Float64Array): Float64Array {
  const totals = new Float64Array(self.length);
  const sum = ({ id, frame, children }: CallNode): number => {
    let total = hidden.includes(frame.group) ? 0 : self[id - 1];
    for (const child of children.values()) total += sum(child);
    totals[id - 1] = total;
    return total;
  };
  sum(profile.tree.root);
  return totals;
}

/**
 * A flame graph with the callers above, as an SVG file that needs nothing else. In a browser a click on a function
 * spreads it over the whole width, a click on the topmost bar goes back.
 */
export function flameGraph(profile: Profile, title: string): string {
  const self = profile.selfTimes();
  const totals = totalTimes(profile, self);
  const all = totals[0];
  const frames: string[] = [];
  let depths = 1;
  const draw = (node: CallNode, name: string, x: number, depth: number): void => {
    const total = totals[node.id - 1];
    const w = (total / (all || 1)) * graphWidth;
    if (w < minWidth) return;
    depths = Math.max(depths, depth + 1);
    frames.push(frameText(node, name, x, w, depth, depth === 0 ? '#e4e1dc' : undefined));
    let at = x;
    const children = [...node.children.values()].sort((a, b) => totals[b.id - 1] - totals[a.id - 1]);
    for (const child of children) {
      draw(child, child.frame.name, at, depth + 1);
      at += (totals[child.id - 1] / (all || 1)) * graphWidth;
    }
  };
  const frameText = (node: CallNode, name: string, x: number, w: number, depth: number, fill?: string): string => {
    const total = totals[node.id - 1];
    const own = Math.min(self[node.id - 1], total);
    const detail = `${name}: ${duration(total)}, ${percent(total, all)}; in itself ${percent(own, all)}`;
    const where = node.frame.url === '' ? '' : `\n${node.frame.url}`;
    const y = top + depth * rowHeight;
    const long = `${name}  ${percent(total, all)}`;
    const left = (x + margin).toFixed(2);
    return (
      `<g class="f" data-x="${x.toFixed(3)}" data-w="${w.toFixed(3)}" data-d="${depth}" ` +
      `data-n="${escape(name)}" data-l="${escape(long)}">` +
      `<title>${escape(detail + where)}</title>` +
      `<rect x="${left}" y="${y}" width="${Math.max(w - 0.5, 0.1).toFixed(2)}" height="${rowHeight - 1}" rx="2" ` +
      `fill="${fill ?? colour(kindOf[node.frame.group], name)}"/>` +
      `<text x="${(x + margin + 4).toFixed(2)}" y="${y + 13}">${escape(labelFor(w, name, long))}</text></g>`
    );
  };
  draw(profile.tree.root, 'all', 0, 0);
  const height = top + depths * rowHeight + footer;
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
text { white-space: pre; font: 11.5px "DejaVu Sans", Verdana, "Segoe UI", system-ui, sans-serif; fill: #221d18; pointer-events: none; }
.title { font-size: 18px; font-weight: bold; }
.note { fill: #6a625a; }
.f { cursor: pointer; }
.f:hover rect { stroke: #221d18; }
.f.above { opacity: 0.55; }
</style>
<rect width="100%" height="100%" fill="#fcfbf9"/>
<text class="title" x="${margin}" y="30">${escape(title)}</text>
<text class="note" x="${margin}" y="50">${escape(summary(profile, all))}</text>
${legend(profile, self, all)}
${frames.join('\n')}
<text class="note" id="detail" x="${margin}" y="${height - 14}"/>
<script><![CDATA[${zoomScript({ margin, graphWidth, characterWidth })}]]></script>
</svg>
`;
}

function summary(profile: Profile, all: number): string {
  const waiting = profile.byGroup().idle ?? 0;
  const rest = waiting > 0 ? `, and ${duration(waiting)} of waiting` : '';
  return `${duration(all)} in ${profile.samples.length} samples${rest}`;
}

function legend(profile: Profile, self: Float64Array, all: number): string {
  const times = new Map<Kind, number>();
  for (const { id, frame } of profile.tree.nodes) {
    if (hidden.includes(frame.group)) continue;
    const kind = kindOf[frame.group];
    times.set(kind, (times.get(kind) ?? 0) + self[id - 1]);
  }
  let x = margin;
  const entries = (Object.keys(kinds) as Kind[]).map((kind) => {
    const { label, hue, saturation, lightness } = kinds[kind];
    const text = `${label} ${percent(times.get(kind) ?? 0, all)}`;
    const entry =
      `<rect x="${x}" y="64" width="12" height="12" rx="2" fill="hsl(${hue},${saturation}%,${lightness}%)"/>` +
      `<text x="${x + 17}" y="74">${text}</text>`;
    x += 17 + text.length * (characterWidth + 0.4) + 22;
    return entry;
  });
  return entries.join('\n');
}
