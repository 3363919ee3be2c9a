// The words, the examples and the state of the explorer, and what changes it; see explorer_tools.js.

// ---------------------------------------------------------------- words

function element(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function legend(id, names) {
  $(id).replaceChildren(...names.map((name, k) => {
    const item = element("li"), mark = element("i");
    mark.style.borderTop = `3px ${k % 6 && DASHES[k % 6].length ? "dashed" : "solid"} ${LINES[theme()][k % 6]}`;
    item.append(mark, name);
    return item;
  }));
}

function answer() {
  $("facts").replaceChildren(...row().facts.map(([name, value, note]) => {
    const card = element("div"), body = element("dd");
    body.append(element("strong", value), element("span", note));
    card.append(element("dt", name), body);
    return card;
  }));
  $("strips").replaceChildren(...row().strips.map((strip) => element("p", strip.meaning)));
  $("why").replaceChildren(...row().why.map((sentence) => element("p", sentence)));
  $("right").textContent = row().verdict;
  $("right").className = `verdict ${row().right === null ? "" : row().right ? "yes" : "no"}`;
}

/** A text as one reads it, each token shaded by what it did for the answer; a click goes there. */
function passage() {
  const box = $("passage");
  box.hidden = content.kind !== "tokens";
  if (box.hidden) return;
  const strip = row().strips[0], at = strip ? values(strip.packed) : null, now = column();
  if (box.dataset.row !== `${state.row}${theme()}`) {
    box.dataset.row = `${state.row}${theme()}`;
    box.replaceChildren(...row().names.map((name, step) => {
      const token = element("span", content.spaced ? `${name} ` : name.replaceAll("␣", " "));
      if (name === "↵") token.append("\n");
      if (at) {
        const part = Math.floor(((step - strip.begin) / (strip.end - strip.begin)) * strip.packed.columns);
        const share = clamp(at(0, clamp(part, 0, strip.packed.columns - 1)) / strip.most, -1, 1);
        const tone = strip.diverging && share < 0 ? "--blue" : "--orange";
        token.style.background = `rgb(var(${tone}) / ${(Math.abs(share) * 0.55).toFixed(2)})`;
      }
      token.dataset.step = step;
      return token;
    }));
  }
  for (const token of box.children) {
    const step = Number(token.dataset.step), here = step >= span(now)[0] && step < span(now)[1];
    if (here) token.setAttribute("aria-current", "step");
    else token.removeAttribute("aria-current");
  }
}

function number(value) { return value < 0 ? `(${show(value)})` : show(value); }

/** The equations of a step with its numbers, and what stands in the panel beside the heat map. */
function panel() {
  const now = column(), unit = state.unit, at = (quantity, k = now) => of(quantity)(unit, k);
  const backward = layer().directions[state.direction] === "reverse", columns = traced().columns;
  $("panel-title").textContent = `Unit ${unit}, ${placeOf(state.step)}`;
  const projected = layer().hidden !== layer().units;
  $("values").replaceChildren(...Object.entries(QUANTITIES).flatMap(([key, { name, letter, gate }]) => {
    if (key === "hidden" && projected) return [];
    const line = element("tr"), head = element("th", `${name} `), bar = element("td", "", "bar"), fill = element("i");
    head.append(element("i", letter));
    head.scope = "row";
    const value = at(key), scale = scaleOf(key), share = clamp((value - scale.low) / (scale.high - scale.low), 0, 1);
    fill.style.left = `${gate ? 0 : Math.min(share, 0.5) * 100}%`;
    fill.style.width = `${(gate ? share : Math.abs(share - 0.5)) * 100}%`;
    fill.style.background = gate ? "var(--accent)" : value < 0 ? "rgb(var(--blue))" : "rgb(var(--orange))";
    if (!gate) bar.classList.add("both");
    bar.append(fill);
    line.append(head, bar, element("td", show(value)));
    return [line];
  }));
  const before = backward ? now + 1 : now - 1, first = before < 0 || before >= columns;
  equations(at, first, before, { backward, projected });
  const decay = layer().zoneout + (1 - layer().zoneout) * at("forget_gate"), life = decay >= 0.9999 ? null : Math.log(2) / -Math.log(Math.max(decay, 1e-6));
  const whole = layer().half_life ? layer().half_life[state.direction][unit] : undefined;
  const notes = [];
  if (whole !== undefined) notes.push(`Half of what its cell holds is gone after: ${halfLife(whole)} (over the data set); at the gate of this step alone: ${halfLife(life)}.`);
  else notes.push(`Half of what its cell holds would be gone after: ${halfLife(life)}, at the gate of this step.`);
  const told = layer().habits ? layer().habits[state.direction][unit] : "";
  if (told) notes.push(told);
  $("unit-notes").replaceChildren(...notes.map((note) => element("p", note)));
}

function equations(at, first, before, { backward, projected }) {
  const box = $("equations");
  if (traced().per > 1) {
    box.replaceChildren(element("p", `Each column is the mean of ${traced().per} steps, so the equations, which hold for single steps, are not written out.`));
    return;
  }
  const [i, f, g, o, c, h] = ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"].map((key) => at(key));
  const held = first ? (row().carried ? (f > 0.01 ? (c - i * g) / f : 0) : 0) : at("cell", before);
  const sign = content.most > 255 ? "=" : "≈";
  const fresh = f * held + i * g, near = (a, b) => Math.abs(a - b) < 0.02 + 0.02 * Math.abs(b);
  const block = (...lines) => {
    const made = element("div");
    made.append(...lines.map((text) => element("div", text)));
    return made;
  };
  const made = [block("c = f c′ + i g", `${sign} ${show(f)} × ${number(held)} + ${show(i)} × ${number(g)}`,
    near(fresh, c) ? `${sign} ${show(c)}` : `${sign} ${show(fresh)}, held back to ${show(c)}`)];
  if (!projected) {
    const out = o * Math.tanh(c);
    made.push(block("h = o tanh(c)", `${sign} ${show(o)} × ${number(Math.tanh(c))}`,
      near(out, h) ? `${sign} ${show(h)}` : `${sign} ${show(out)}; as it leaves the layer ${show(h)}`));
  }
  const where = first ? (row().carried ? "c′: the cell as it came in" : "c′: 0, before the first step it reads")
    : `c′: the cell one step ${backward ? "later; this direction reads from the end" : "before"}`;
  box.replaceChildren(...made, element("p", where, "quiet"));
}

function scaleLegend() {
  const { colours, low, high } = scaleOf(state.quantity), { gate, low: shut, high: open } = QUANTITIES[state.quantity];
  $("bar").style.background = gradient(colours);
  $("bar-low").textContent = gate ? `0 ${shut}` : `${minus(String(low))} and below`;
  $("bar-high").textContent = gate ? `1 ${open}` : `${high} and above`;
  $("bar-middle").textContent = gate ? "0.5" : "0";
  $("thinned").textContent = traced().per > 1 ? `Each column is the mean of ${traced().per} steps.` : "";
}

// ---------------------------------------------------------------- across the data set

function snippets() {
  const found = layer().examples;
  $("examples").hidden = !found;
  if (!found) return;
  for (const kind of ["input", "cell"]) {
    const list = found[kind], from = (state.direction * layer().units + state.unit) * found.each, cards = [];
    for (let k = from; k < from + found.each; k++) {
      if (list.sequence[k] >= 0) cards.push(card(content.gallery[list.sequence[k]], list.step[k], list.value[k], kind));
    }
    $(`examples-${kind}`).replaceChildren(...cards);
    for (const canvas of $(`examples-${kind}`).querySelectorAll("canvas")) stretch(canvas);
  }
}

function card(item, step, value, kind) {
  const box = element("li"), head = element("p", "", "head");
  const place = item.rate ? `${(step / item.rate).toFixed(2)} s` : `${content.rows[0].unit} ${step.toLocaleString("en")}`;
  head.append(element("b", `${kind === "input" ? "i" : "c"} = ${show(value)}`), ` ${item.name}, ${place}`);
  if (item.truth) head.append(element("span", `, labelled “${item.truth}”`, "quiet"));
  box.append(head);
  if (item.names) {
    const from = Math.max(0, step - content.around), until = Math.min(item.names.length, step + content.around + 1);
    const text = element("p", "", "context"), space = content.spaced ? " " : "";
    const plain = (names) => (content.spaced ? names.join(" ") : names.join("").replaceAll("␣", " "));
    text.append((from ? "…" : "") + plain(item.names.slice(from, step)) + (step > from ? space : ""),
      element("mark", item.names[step]), space + plain(item.names.slice(step + 1, until)) + (until < item.names.length ? "…" : ""));
    box.append(text);
  } else if (item.packed) {
    const canvas = element("canvas");
    Object.assign(canvas, { item, step });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${item.name} around ${place}`);
    box.append(canvas);
  }
  const here = content.rows.findIndex((one) => one.row === item.row);
  if (here >= 0) {
    const go = element("button", "Show");
    go.type = "button";
    go.setAttribute("aria-label", `Show ${item.name} at ${place}`);
    go.addEventListener("click", () => set({ row: here, step }));
    head.append(" ", go);
  }
  return box;
}

function stretch(canvas) {
  const { item, step } = canvas, ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = 54;
  const { packed, steps } = item, at = values(packed), wide = Math.max(60, steps / 4);
  const from = clamp(step - wide / 2, 0, Math.max(0, steps - wide)), until = Math.min(from + wide, steps);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d"), rows = packed.rows;
  pen.scale(ratio, ratio);
  const first = Math.floor((from * packed.columns) / steps), last = Math.ceil((until * packed.columns) / steps);
  const x = (place) => ((place - from) / (until - from)) * width;
  let low = Infinity, high = -Infinity;
  for (let line = 0; line < rows; line++) {
    for (let k = first; k < last; k++) [low, high] = [Math.min(low, at(line, k)), Math.max(high, at(line, k))];
  }
  pen.fillStyle = `rgb(${css("--orange")} / 0.25)`;
  pen.fillRect(x(step) - 3, 0, Math.max(x(step + 1) - x(step), 0) + 6, height);
  for (let line = 0; line < rows; line++) {
    pen.strokeStyle = LINES[theme()][line % 6];
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (let k = first; k < last; k++) {
      pen.lineTo(x(((k + 0.5) * steps) / packed.columns), height - 4 - ((at(line, k) - low) / (high - low || 1)) * (height - 8));
    }
    pen.stroke();
  }
}

// ---------------------------------------------------------------- the state

/** Which steps are shown: all, or a window that follows the scrubber. */
function frame() {
  const steps = row().steps, wide = clamp(state.zoom || steps, Math.min(NEAREST, steps), steps);
  let [from] = view;
  const margin = wide * 0.1;
  if (state.step < from + margin || state.step > from + wide - margin || view[1] - view[0] !== wide) from = state.step - wide / 2;
  from = clamp(Math.round(from), 0, steps - wide);
  view = [from, from + wide];
  $("whole").textContent = wide < steps ? `${row().unit}s ${from}–${from + wide - 1} of ${steps.toLocaleString("en")}` : `all ${steps.toLocaleString("en")} ${row().unit}s`;
  $("closer").disabled = wide <= Math.min(NEAREST, steps);
  $("wider").disabled = wide >= steps;
}

function options(select, entries, value) {
  const wanted = JSON.stringify(entries);
  if (select.dataset.entries !== wanted) {
    select.dataset.entries = wanted;
    select.replaceChildren(...entries.map(([key, name]) => {
      const option = element("option", name);
      option.value = key;
      return option;
    }));
  }
  select.value = String(value);
  select.disabled = entries.length < 2;
  select.closest("label").hidden = entries.length < 2 && select.id !== "row";
}

function controls() {
  options($("row"), content.rows.map((one, k) => [String(k), one.label]), state.row);
  options($("layer"), content.layers.map((one, k) => [String(k), one.title]), state.layer);
  options($("direction"), layer().directions.map((name, k) => [String(k), name]), state.direction);
  options($("quantity"), Object.entries(QUANTITIES).map(([key, { name, letter }]) => [key, `${name} ${letter}`]), state.quantity);
  options($("order"), layer().orders.map(({ key, name }) => [key, name]), state.order);
  const drawn = row().lines, names = drawn ? drawn.names : [];
  const several = names.length > 1 ? [["", drawn.first.length < names.length ? `${drawn.first.length} of ${names.length}: ${drawn.why}` : "all"]] : [];
  options($("channel"), names.length > 1 ? [...several, ...names.map((name, k) => [String(k), name])] : [["", ""]], state.channel);
  $("step").max = String(traced().columns - 1);
  $("step").value = String(column());
  $("step").setAttribute("aria-valuetext", placeOf(state.step));
  $("where").textContent = placeOf(state.step);
  $("before").disabled = state.row === 0;
  $("after").disabled = state.row === content.rows.length - 1;
  $("layer-title").textContent = `${QUANTITIES[state.quantity].name} of every unit: ${layer().title}${layer().directions.length > 1 ? `, ${layer().directions[state.direction]}` : ""}`;
  $("unit-title").textContent = `Unit ${state.unit} over this sequence`;
  $("examples-title").textContent = `Unit ${state.unit} across the data set`;
  for (const key of ["gate-legend", "cell-legend"]) {
    const chosen = key === "gate-legend" ? [[0, "input gate i"], [1, "forget gate f"], [2, "output gate o"]]
      : [[5, "cell state c"], [3, "candidate g"], ...(layer().hidden === layer().units ? [[4, "hidden state h"]] : [])];
    $(key).replaceChildren(...chosen.map(([k, name]) => {
      const item = element("li"), mark = element("i");
      mark.style.borderTop = `3px ${k !== 5 && DASHES[k].length ? "dashed" : "solid"} ${LINES[theme()][k]}`;
      item.append(mark, name);
      return item;
    }));
  }
  const said = `${placeOf(state.step)}, unit ${state.unit}: ${Object.entries(QUANTITIES).filter(([key]) => key !== "hidden" || layer().hidden === layer().units)
    .map(([key, { name }]) => `${name.toLowerCase()} ${show(of(key)(state.unit, column()))}`).join(", ")}`;
  for (const id of ["sequence", "heat", "gates"]) {
    $(id).setAttribute("aria-valuemax", String(row().steps - 1));
    $(id).setAttribute("aria-valuenow", String(state.step));
    $(id).setAttribute("aria-valuetext", said);
  }
}

let asked = false, slow = "";
function render() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    frame();
    controls();
    sequence();
    passage();
    heat();
    scaleLegend();
    jacobian();
    gates();
    panel();
    const now = [state.row, state.unit, state.layer, state.direction, theme(), document.body.clientWidth].join();
    if (now !== slow) { // what the step does not change
      slow = now;
      answer();
      snippets();
      horizon();
      halfLives();
    }
    document.documentElement.dataset.drawn = String(Number(document.documentElement.dataset.drawn || 0) + 1);
  });
}

const KEPT = ["step", "unit", "layer", "direction", "quantity", "order", "zoom", "channel"];
/** Changes the state as far as there is such a thing, and draws it. */
function set(changes, { keep = true } = {}) {
  const earlier = row();
  Object.assign(state, changes);
  state.row = clamp(Math.round(state.row) || 0, 0, content.rows.length - 1);
  state.layer = clamp(Math.round(state.layer) || 0, 0, content.layers.length - 1);
  state.direction = clamp(Math.round(state.direction) || 0, 0, layer().directions.length - 1);
  if (!QUANTITIES[state.quantity]) state.quantity = "input_gate";
  state.unit = clamp(Math.round(state.unit) || 0, 0, units() - 1);
  if (state.unit >= layer().units) state.unit = layer().units - 1;
  if (!layer().orders.some(({ key }) => key === state.order)) state.order = layer().orders[0].key;
  if (row() !== earlier) state.zoom = changes.zoom ?? reading();
  state.step = clamp(Math.round(state.step) || 0, 0, row().steps - 1);
  if (keep) {
    const kept = KEPT.filter((key) => state[key] !== "" && !(key === "zoom" && !state.zoom)).map((key) => `${key}=${state[key]}`);
    history.replaceState(null, "", `#row=${row().row}&${kept.join("&")}`);
  }
  render();
}

/** Of a text as many tokens as can be read side by side, of everything else all. */
function reading() {
  if (content.kind !== "tokens") return 0;
  const fits = Math.floor(($("sequence").parentElement.clientWidth - 80) / (LEAST_COLUMN + 2));
  return fits < row().steps ? fits : 0;
}

function restore() {
  const given = new URLSearchParams(location.hash.slice(1)), changes = {};
  for (const key of KEPT) {
    if (given.has(key)) changes[key] = ["quantity", "order", "channel"].includes(key) ? given.get(key) : Number(given.get(key));
  }
  const wanted = content.rows.findIndex((one) => String(one.row) === given.get("row"));
  changes.row = Math.max(wanted, 0);
  state.row = changes.row;
  set({ zoom: reading(), step: row().start, ...changes }, { keep: false });
  if (!given.has("unit")) set({ unit: sorted()[0] }, { keep: false });
}

const move = (columns) => set({ step: stepOf(clamp(column() + columns, 0, traced().columns - 1)) });
const moveUnit = (places) => {
  const order = sorted();
  set({ unit: order[clamp(order.indexOf(state.unit) + places, 0, order.length - 1)] });
};
const zoom = (times) => {
  const steps = row().steps, wide = clamp(Math.round((state.zoom || steps) * times), Math.min(NEAREST, steps), steps);
  set({ zoom: wide >= steps ? 0 : wide });
};

function keyed(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const target = event.target, figure = target.tagName === "CANVAS" && target.tabIndex >= 0;
  if (["SELECT", "INPUT", "TEXTAREA"].includes(target.tagName)) return;
  const far = event.shiftKey ? 10 : 1;
  const actions = { ArrowLeft: () => move(-far), ArrowRight: () => move(far), "+": () => zoom(0.5), "-": () => zoom(2) };
  if (figure) {
    Object.assign(actions, { ArrowUp: () => moveUnit(-far), ArrowDown: () => moveUnit(far), Home: () => move(-Infinity),
      End: () => move(Infinity), PageUp: () => move(-10), PageDown: () => move(10) });
  }
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

/** What lies under the pointer: a step, and in the heat map a unit. */
function under(event, id) {
  const canvas = $(id), box = canvas.getBoundingClientRect(), left = gutter(box.width);
  const share = (event.clientX - box.left - left) / (box.width - left - RIGHT);
  const step = clamp(Math.floor(view[0] + share * (view[1] - view[0])), 0, row().steps - 1), order = sorted();
  const line = Math.floor(((event.clientY - box.top - 4) / heatHeight()) * order.length);
  return { step, unit: id === "heat" && line >= 0 && line < order.length ? order[line] : state.unit };
}

function scrub(id) {
  const canvas = $(id);
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
    set(under(event, id));
  });
  canvas.addEventListener("pointermove", (event) => {
    const found = under(event, id);
    if (canvas.hasPointerCapture(event.pointerId)) set(id === "heat" ? { step: found.step } : found);
    if (id !== "heat") return;
    const { begin, end, columns } = traced();
    const at = clamp(Math.floor(((found.step + 0.5 - begin) / (end - begin)) * columns), 0, columns - 1);
    $("pointed").textContent = `Under the pointer: unit ${found.unit}, ${placeOf(found.step)}: ${show(of(state.quantity)(found.unit, at))}`;
  });
  canvas.addEventListener("pointerleave", () => { if (id === "heat") $("pointed").textContent = ""; });
}

["sequence", "heat", "gates", "jacobian"].forEach(scrub);
$("lives").addEventListener("click", (event) => {
  const box = $("lives").getBoundingClientRect(), left = gutter(box.width), all = layer().half_life[state.direction];
  const ranked = all.map((life, unit) => [life ?? Infinity, unit]).sort((a, b) => b[0] - a[0]);
  const place = Math.floor(((event.clientX - box.left - left) / (box.width - left - RIGHT)) * ranked.length);
  set({ unit: ranked[clamp(place, 0, ranked.length - 1)][1] });
});
for (const id of ["row", "layer", "direction"]) $(id).addEventListener("change", (event) => set({ [id]: Number(event.target.value) }));
for (const id of ["quantity", "order", "channel"]) $(id).addEventListener("change", (event) => set({ [id]: event.target.value }));
$("step").addEventListener("input", (event) => set({ step: stepOf(Number(event.target.value)) }));
$("before").addEventListener("click", () => set({ row: state.row - 1 }));
$("after").addEventListener("click", () => set({ row: state.row + 1 }));
$("closer").addEventListener("click", () => zoom(0.5));
$("wider").addEventListener("click", () => zoom(2));
$("passage").addEventListener("click", (event) => { if (event.target.dataset.step) set({ step: Number(event.target.dataset.step) }); });
document.addEventListener("keydown", keyed);
window.addEventListener("hashchange", restore);
window.addEventListener("resize", render);
dark.addEventListener("change", render);
restore();
