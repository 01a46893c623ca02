/** The script of a flame graph: a click spreads a frame over the whole width, hovering shows its details. */
export function zoomScript(sizes: { margin: number; graphWidth: number; characterWidth: number }): string {
  const { margin, graphWidth, characterWidth } = sizes;
  return `
const frames = [...document.querySelectorAll('.f')].map((g) => ({
  g, rect: g.querySelector('rect'), text: g.querySelector('text'), name: g.dataset.n, long: g.dataset.l,
  x: Number(g.dataset.x), w: Number(g.dataset.w), depth: Number(g.dataset.d),
}));
const detail = document.getElementById('detail');
function zoom(to) {
  const scale = ${graphWidth} / to.w;
  for (const { g, rect, text, name, long, x, w, depth } of frames) {
    const above = depth < to.depth && x <= to.x + 0.01 && x + w >= to.x + to.w - 0.01;
    const within = depth >= to.depth && x >= to.x - 0.01 && x + w <= to.x + to.w + 0.01;
    g.style.display = above || within ? '' : 'none';
    g.classList.toggle('above', above);
    if (!above && !within) continue;
    const left = above ? 0 : (x - to.x) * scale;
    const width = above ? ${graphWidth} : w * scale;
    rect.setAttribute('x', left + ${margin});
    rect.setAttribute('width', Math.max(width - 0.5, 0.1));
    text.setAttribute('x', left + ${margin + 4});
    const letters = Math.floor((width - 6) / ${characterWidth});
    const cut = letters < 3 ? '' : name.slice(0, letters - 1) + '…';
    text.textContent = long.length <= letters ? long : name.length <= letters ? name : cut;
  }
}
for (const frame of frames) {
  frame.g.addEventListener('click', () => zoom(frame));
  frame.g.addEventListener('mouseover', () => { detail.textContent = frame.g.querySelector('title').textContent; });
  frame.g.addEventListener('mouseout', () => { detail.textContent = ''; });
}
addEventListener('keydown', (event) => { if (event.key === 'Escape') zoom(frames[0]); });
`;
}
