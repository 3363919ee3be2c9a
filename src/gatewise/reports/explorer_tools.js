// The explorer. One state, kept in the address (#row=2&step=40&unit=3); whatever changes it draws the page anew.
// The parts explorer_tools.js, explorer_figures.js and explorer.js are one function of one script, in this order.
// Here: the values of the page, its colours, and what every drawing on an axis of time is made of.

const content = JSON.parse(document.getElementById("content").textContent);
const $ = (id) => document.getElementById(id);
const QUANTITIES = {
  input_gate: { name: "Input gate", letter: "i", gate: true, low: "shut", high: "open" },
  forget_gate: { name: "Forget gate", letter: "f", gate: true, low: "forgets", high: "keeps" },
  output_gate: { name: "Output gate", letter: "o", gate: true, low: "shut", high: "open" },
  candidate: { name: "Candidate", letter: "g", gate: false },
  cell: { name: "Cell state", letter: "c", gate: false },
  hidden: { name: "Hidden state", letter: "h", gate: false },
};
const VIRIDIS = ["440154", "48186a", "472d7b", "424086", "3b528b", "33638d", "2c728e", "26828e", "21918c", "1fa088",
  "28ae80", "3fbc73", "5ec962", "84d44b", "addc30", "d8e219", "fde725"];
const DIVERGING = { light: ["0a4a84", "5aa0d0", "f4f4f3", "f0a35e", "a84300"],
  dark: ["8fd3ff", "2f7fb5", "22272f", "b8601c", "ffb27a"] };
const LINES = { light: ["#0072b2", "#d55e00", "#009e73", "#b0589a", "#9a6a00", "#3b424c"],
  dark: ["#56b4e9", "#ff9a57", "#3fd0a4", "#e29ac6", "#e6b422", "#c9ced6"] };
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [], [5, 5]];
const RIGHT = 14, AXIS = 26, LEAST_COLUMN = 11, NEAREST = 12;
const gutter = (width) => (width < 560 ? 56 : 84);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const state = { row: 0, step: 0, unit: 0, layer: 0, direction: 0, quantity: "input_gate", order: "", zoom: 0, channel: "" };
let view = [0, 1];

// ---------------------------------------------------------------- values

const unpacked = new WeakMap();
/** Values packed as whole numbers between a low and a high: a function of row (unit, channel) and column (step). */
function values(packed) {
  let at = unpacked.get(packed);
  if (!at) {
    const bytes = Uint8Array.from(atob(packed.d), (character) => character.charCodeAt(0));
    const whole = packed.most > 255 ? new Uint16Array(bytes.buffer) : bytes;
    const of = (bound, row) => (typeof bound === "number" ? bound : bound[row]);
    const columns = packed.columns;
    at = (row, column) => {
      const low = of(packed.lo, row);
      return low + ((of(packed.hi, row) - low) * whole[row * columns + column]) / packed.most;
    };
    unpacked.set(packed, at);
  }
  return at;
}

const row = () => content.rows[state.row];
const layer = () => content.layers[state.layer];
const traced = () => row().layers[state.layer];
const direction = () => traced().directions[state.direction];
const of = (quantity) => values(direction()[quantity]);
const units = (quantity = state.quantity) => (quantity === "hidden" ? layer().hidden : layer().units);
const sorted = () => {
  const count = units(), order = layer().orders.find((one) => one.key === state.order);
  return order && count === layer().units ? order.units[state.direction] : [...Array(count).keys()];
};
/** Where in the input a step of the layer begins and ends. */
const span = (column) => {
  const { begin, end, columns } = traced();
  return [begin + ((end - begin) * column) / columns, begin + ((end - begin) * (column + 1)) / columns];
};
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const column = () => {
  const { begin, end, columns } = traced();
  return clamp(Math.floor(((state.step + 0.5 - begin) / (end - begin)) * columns), 0, columns - 1);
};
const stepOf = (at) => clamp(Math.floor((span(at)[0] + span(at)[1]) / 2), 0, row().steps - 1);

const minus = (text) => text.replace("-", "−");
function show(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 10 ** -digits / 2 && digits > 2)) return minus(value.toExponential(1));
  return minus(value.toFixed(size >= 1000 ? 0 : size >= 100 ? Math.min(digits, 1) : digits));
}
const halfLife = (steps) =>
  steps === null ? "never" : `${steps < 10 ? show(steps, 1) : Math.round(steps).toLocaleString("en")} steps`;
const nameOf = (step) => (row().names ? row().names[step] : String(step));
function placeOf(step) {
  if (row().rate) return `${(step / row().rate).toFixed(2)} s`;
  const place = `${row().unit} ${step.toLocaleString("en")}`;
  if (content.kind === "tokens") return `${place}, “${nameOf(step)}”`;
  return row().names && nameOf(step) !== String(step) ? `${place}, ${nameOf(step)}` : place;
}

// ---------------------------------------------------------------- colours

const theme = () => (dark.matches ? "dark" : "light");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
const tables = {};
/** 256 colours between the given ones. */
function table(name) {
  const stops = (name === "viridis" ? VIRIDIS : DIVERGING[name]).map(channels);
  tables[name] ??= Array.from({ length: 256 }, (_, at) => {
    const place = (at / 255) * (stops.length - 1), first = Math.min(Math.floor(place), stops.length - 2);
    return stops[first].map((low, k) => Math.round(low + (stops[first + 1][k] - low) * (place - first)));
  });
  return tables[name];
}
const scaleOf = (quantity) => {
  if (QUANTITIES[quantity].gate) return { colours: table("viridis"), low: 0, high: 1 };
  const most = layer().spans[quantity];
  return { colours: table(theme()), low: -most, high: most };
};
const shade = ({ colours, low, high }, value) => colours[clamp(Math.round((255 * (value - low)) / (high - low)), 0, 255)];
const gradient = (colours) =>
  `linear-gradient(to right, ${[0, 32, 64, 96, 128, 160, 192, 224, 255].map((at) => `rgb(${colours[at]})`).join(",")})`;

// ---------------------------------------------------------------- drawing

/** A canvas made ready: cleared, in pixels of the screen, with the page's colours and what shares the axis of time. */
function surface(id, height) {
  const canvas = $(id), width = canvas.parentElement.clientWidth, ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
  pen.textBaseline = "middle";
  const left = gutter(width);
  const x = (step) => left + ((step - view[0]) / (view[1] - view[0])) * (width - left - RIGHT);
  const back = (pixel) => view[0] + ((pixel - left) / (width - left - RIGHT)) * (view[1] - view[0]);
  return { canvas, pen, width, height, left, x, back, ink: css("--ink"), quiet: css("--quiet"), grid: css("--line") };
}

function write(s, text, x, y, { align = "left", colour = s.quiet, most = 0 } = {}) {
  s.pen.fillStyle = colour;
  s.pen.textAlign = align;
  let shown = text;
  if (most) while (shown.length > 1 && s.pen.measureText(shown).width > most) shown = `${shown.replace("…", "").slice(0, -1)}…`;
  s.pen.fillText(shown, x, y);
}

function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1), power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough * 0.999) || rough || 1;
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) found.push(value + 0);
  return found;
}

/** The part of a canvas in which time is drawn; nothing of it shows beyond. */
function inside(s, draw) {
  s.pen.save();
  s.pen.beginPath();
  s.pen.rect(s.left, 0, s.width - s.left - RIGHT, s.height);
  s.pen.clip();
  draw();
  s.pen.restore();
}

/** The axis of time at height y: numbers, seconds, or the tokens themselves where there is room. */
function timeAxis(s, y, { title = true } = {}) {
  const rate = row().rate, count = Math.max(2, Math.floor((s.width - s.left) / 90));
  const [low, high] = rate ? [view[0] / rate, view[1] / rate] : view;
  s.pen.strokeStyle = s.grid;
  s.pen.lineWidth = 1;
  const unit = rate ? "s" : row().unit;
  const room = s.pen.measureText(unit).width + 10;
  for (const tick of ticks(low, high, count)) {
    if (!rate && tick !== Math.round(tick)) continue;
    const at = rate ? s.x(tick * rate) : s.x(tick + 0.5);
    if (at > s.width - RIGHT + 1 || at < s.left - 1) continue;
    s.pen.beginPath();
    s.pen.moveTo(at, y);
    s.pen.lineTo(at, y + 4);
    s.pen.stroke();
    const text = rate ? String(+tick.toPrecision(6)) : tick.toLocaleString("en");
    if (!title || at < s.width - RIGHT - room) write(s, text, at, y + 14, { align: "center" });
  }
  if (title) write(s, unit, s.width - RIGHT, y + 14, { align: "right" });
}

/** The line of the scrubber, over everything that has this axis. */
function cursor(s, top, bottom) {
  const [from, until] = span(column()), middle = s.x((from + until) / 2);
  inside(s, () => {
    s.pen.fillStyle = dark.matches ? "rgb(255 255 255 / 0.10)" : "rgb(0 0 0 / 0.07)";
    s.pen.fillRect(s.x(from), top, Math.max(s.x(until) - s.x(from), 1), bottom - top);
    for (const [width, colour] of [[3, css("--paper")], [1.5, css("--ink")]]) {
      s.pen.strokeStyle = colour;
      s.pen.lineWidth = width;
      s.pen.beginPath();
      s.pen.moveTo(middle, top);
      s.pen.lineTo(middle, bottom);
      s.pen.stroke();
    }
  });
}

/** Lines over time in a box from top to bottom: each `{at(k), count, middle(k), colour, dash}`. */
function lines(s, top, bottom, low, high, drawn, { name = "" } = {}) {
  const y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - top);
  for (const tick of ticks(low, high, Math.max(3, Math.floor((bottom - top) / 34)))) {
    s.pen.strokeStyle = s.grid;
    s.pen.lineWidth = 1;
    s.pen.beginPath();
    s.pen.moveTo(s.left, y(tick));
    s.pen.lineTo(s.width - RIGHT, y(tick));
    s.pen.stroke();
    write(s, minus(String(+tick.toPrecision(6))), s.left - 6, y(tick), { align: "right" });
  }
  inside(s, () => {
    for (const { at, count, middle, colour, dash } of drawn) {
      s.pen.strokeStyle = s.pen.fillStyle = colour;
      s.pen.lineWidth = 1.5;
      s.pen.setLineDash(dash || []);
      s.pen.beginPath();
      let open = false;
      for (let k = 0; k < count; k++) {
        const value = at(k);
        if (!Number.isFinite(value)) { open = false; continue; }
        if (open) s.pen.lineTo(s.x(middle(k)), y(value));
        else s.pen.moveTo(s.x(middle(k)), y(value));
        open = true;
      }
      s.pen.stroke();
      s.pen.setLineDash([]);
      if (s.x(middle(1)) - s.x(middle(0)) < LEAST_COLUMN && count > 1) continue;
      for (let k = 0; k < count; k++) {
        if (!Number.isFinite(at(k))) continue;
        s.pen.beginPath();
        s.pen.arc(s.x(middle(k)), y(at(k)), 2.2, 0, 7);
        s.pen.fill();
      }
    }
  });
  if (name) sideways(s, name, (top + bottom) / 2);
}

function sideways(s, text, y) {
  s.pen.save();
  s.pen.translate(9, y);
  s.pen.rotate(-Math.PI / 2);
  write(s, text, 0, 0, { align: "center" });
  s.pen.restore();
}

/** Tokens, each above its column, upright where they are too wide; returns how high that was. */
function tokenHeight(s) {
  const wide = s.x(1) - s.x(0);
  if (content.kind !== "tokens" || wide < LEAST_COLUMN) return 0;
  const longest = Math.max(...row().names.map((name) => s.pen.measureText(name).width));
  return longest <= wide - 1 || row().names.every((name) => [...name].length === 1) ? 20 : Math.min(longest, 96) + 10;
}

function tokens(s, height) {
  if (!height) return;
  const upright = height > 20, now = column();
  inside(s, () => row().names.forEach((name, step) => {
    const middle = s.x(step + 0.5), here = step >= span(now)[0] && step < span(now)[1];
    const look = { align: upright ? "left" : "center", colour: here ? s.ink : s.quiet, most: 96 };
    s.pen.save();
    if (here) s.pen.font = `700 ${s.pen.font}`;
    s.pen.translate(middle, upright ? height - 5 : 10);
    if (upright) s.pen.rotate(-Math.PI / 2);
    write(s, name, 0, 0, look);
    s.pen.restore();
  }));
}
