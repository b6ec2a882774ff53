// A family tree, the oldest at the top: who came from whom, the main line on the left.

import { el, svg } from "../lib/dom.js";

const ROW = 44;
const COLUMN = 92;
const LEFT = 44;
const TOP = 24;
const WIDE = 72;
const HIGH = 28;

// `layout`: {nodes: [{number, row, column, isMain}], edges: [{from, to}], rows, columns}; `text(node)`
// names a node in a word, `href(number)` leads to it. Returns an element.
export function tree(layout, { label, text, href, chosen = null }) {
  const width = LEFT * 2 + (layout.columns - 1) * COLUMN;
  const height = TOP * 2 + (layout.rows - 1) * ROW;
  const places = new Map(layout.nodes.map((node) => [node.number, { x: LEFT + node.column * COLUMN, y: TOP + node.row * ROW }]));
  return el("div", { class: "wide tree-frame", tabindex: "0", role: "region", "aria-label": label },
    svg("svg", { class: "tree", width, height, viewBox: `0 0 ${width} ${height}` },
      layout.edges.map((edge) => svg("path", { class: "edge", d: line(places.get(edge.from), places.get(edge.to)) })),
      layout.nodes.map((node) => leaf(node, places.get(node.number), { text, href, chosen }))));
}

const line = (from, to) =>
  `M ${from.x} ${from.y + HIGH / 2} C ${from.x} ${from.y + ROW * 0.7}, ${to.x} ${to.y - ROW * 0.7}, ${to.x} ${to.y - HIGH / 2}`;

function leaf(node, { x, y }, { text, href, chosen }) {
  return svg("a", { href: href(node.number), class: `leaf${node.isMain ? " main" : ""}`, "aria-current": node.number === chosen && "true", "aria-label": `no. ${node.number}, ${text(node)}` },
    svg("rect", { x: x - WIDE / 2, y: y - HIGH / 2, width: WIDE, height: HIGH, rx: 8 }),
    svg("text", { x, y: y - 1, "text-anchor": "middle" }, `no. ${node.number}`),
    svg("text", { class: "small", x, y: y + 10, "text-anchor": "middle" }, text(node)));
}
