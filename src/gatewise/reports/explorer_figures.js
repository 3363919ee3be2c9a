// The pictures of the explorer; see explorer_tools.js.

// ---------------------------------------------------------------- the figures

const pictures = {};
function picture(s, top, bottom) {
  const { source, begin, end, high, low, unit } = row().picture;
  if (!pictures[source]) {
    pictures[source] = new Image();
    pictures[source].src = source;
    pictures[source].decode().then(render);
  }
  if (pictures[source].complete) {
    inside(s, () => {
      s.pen.imageSmoothingEnabled = false;
      s.pen.drawImage(pictures[source], s.x(begin), top, s.x(end) - s.x(begin), bottom - top);
    });
  }
  write(s, high, s.left - 6, top + 6, { align: "right" });
  write(s, low, s.left - 6, bottom - 6, { align: "right" });
  if (unit) sideways(s, unit, (top + bottom) / 2);
}

function shownChannels() {
  const drawn = row().lines;
  if (state.channel === "") return drawn.first;
  return [Math.min(Number(state.channel), drawn.names.length - 1)];
}

function sequence() {
  const drawn = row().lines, image = row().picture, strips = row().strips, decisive = row().decisive;
  let s = surface("sequence", 10);
  const tall = image && image.aspect ? clamp((s.x(image.end) - s.x(image.begin)) / image.aspect, 30, 140) : 108;
  const spoken = tokenHeight(s), high = (image ? tall + 8 : 0) + (drawn ? (image ? 74 : 170) : 0);
  const each = (strip) => Math.min(strip.names.length > 1 ? 13 : 20, 20) * strip.names.length + 8;
  const below = strips.reduce((sum, strip) => sum + each(strip), 0);
  const above = decisive ? 20 : 0;
  s = surface("sequence", 12 + above + high + spoken + below + AXIS);
  let y = 8 + above;
  if (decisive) bracket(s, decisive, 16);
  if (image) {
    picture(s, y, y + tall);
    y += tall + 8;
  }
  if (drawn) {
    const at = values(drawn.packed), bottom = y + (image ? 66 : 162), shown = shownChannels();
    const low = Math.min(...shown.map((channel) => drawn.low[channel]));
    const high = Math.max(...shown.map((channel) => drawn.high[channel]));
    const pad = 0.04 * (high - low || 1), count = drawn.packed.columns;
    const middle = drawn.places ? (k) => drawn.places[k] + 0.5 : (k) => k + 0.5;
    const missing = new Set(drawn.missing || []);
    lines(s, y, bottom, low - pad, high + pad, shown.map((channel, k) => ({
      at: (step) => (missing.has(channel * count + step) ? NaN : at(channel, step)), count, middle,
      colour: LINES[theme()][k % 6], dash: shown.length > 1 ? DASHES[k % 6] : [],
    })), { name: shown.length === 1 ? drawn.names[shown[0]] : drawn.unit });
    y = bottom + 8;
  }
  s.pen.save();
  s.pen.translate(0, y - 4);
  tokens(s, spoken);
  s.pen.restore();
  y += spoken;
  const top = y;
  for (const strip of strips) {
    stripOf(s, strip, y, each(strip) - 8);
    y += each(strip);
  }
  cursor(s, spoken ? top - 2 : 8 + above, y - 4); // the word that stands there can be read
  timeAxis(s, y - 2);
  legend("channels", drawn && drawn.names.length > 1 && state.channel === "" ? drawn.first.map((k) => drawn.names[k]) : []);
}

/** Marks a stretch from above: where half of what decided lies. */
function bracket(s, [from, until], y) {
  const words = "half of what decided", wide = s.pen.measureText(words).width;
  const [left, right] = [s.x(from), s.x(until)].map((at) => clamp(at, s.left, s.width - RIGHT));
  if (right - left < 1) return;
  s.pen.fillStyle = `rgb(${css("--orange")} / 0.13)`;
  s.pen.fillRect(left, y, right - left, s.height - y - AXIS - 4);
  s.pen.strokeStyle = `rgb(${css("--orange")})`;
  s.pen.lineWidth = 2;
  s.pen.beginPath();
  s.pen.moveTo(left, y + 5);
  s.pen.lineTo(left, y);
  s.pen.lineTo(right, y);
  s.pen.lineTo(right, y + 5);
  s.pen.stroke();
  write(s, words, clamp((left + right) / 2, s.left + wide / 2, s.width - RIGHT - wide / 2), 7, { align: "center" });
}

function stripOf(s, strip, y, height) {
  const at = values(strip.packed), count = strip.packed.columns, each = height / strip.names.length;
  const scale = strip.diverging ? { colours: table(theme()), low: -strip.most, high: strip.most }
    : { colours: table("viridis"), low: 0, high: strip.most };
  inside(s, () => {
    for (let line = 0; line < strip.names.length; line++) {
      for (let k = 0; k < count; k++) {
        const [from, until] = [k, k + 1].map((edge) => s.x(strip.begin + ((strip.end - strip.begin) * edge) / count));
        if (until < s.left || from > s.width) continue;
        s.pen.fillStyle = `rgb(${shade(scale, at(line, k))})`;
        s.pen.fillRect(from, y + line * each, Math.max(until - from + 0.5, 1), each - (each > 8 ? 1 : 0));
      }
    }
  });
  strip.names.forEach((name, line) => write(s, name, s.left - 6, y + (line + 0.5) * each, { align: "right", most: s.left - 8 }));
}

function heatHeight() {
  const count = units();
  return Math.round(clamp(count * 14, 60, Math.max(count, 440)));
}

const offscreen = document.createElement("canvas");
function heat() {
  const height = heatHeight(), s = surface("heat", height + AXIS + 8), order = sorted();
  const at = of(state.quantity), scale = scaleOf(state.quantity), columns = traced().columns;
  offscreen.width = columns;
  offscreen.height = order.length;
  const pen = offscreen.getContext("2d"), image = pen.createImageData(columns, order.length);
  order.forEach((unit, line) => {
    for (let k = 0; k < columns; k++) {
      const [red, green, blue] = shade(scale, at(unit, k));
      image.data.set([red, green, blue, 255], 4 * (line * columns + k));
    }
  });
  pen.putImageData(image, 0, 0);
  const top = 4, each = height / order.length, { begin, end } = traced();
  inside(s, () => {
    s.pen.imageSmoothingEnabled = s.x(end) - s.x(begin) < columns;
    s.pen.drawImage(offscreen, s.x(begin), top, s.x(end) - s.x(begin), height);
  });
  cursor(s, top, top + height);
  const line = order.indexOf(state.unit), y = top + line * each, apart = Math.ceil(14 / each);
  order.forEach((unit, place) => {
    if (place % apart === 0 && Math.abs(place - line) >= apart) {
      write(s, String(unit), s.left - 6, top + (place + 0.5) * each, { align: "right" });
    }
  });
  if (line >= 0) {
    for (const [width, colour] of [[3, css("--paper")], [1.5, css("--ink")]]) {
      s.pen.strokeStyle = colour;
      s.pen.lineWidth = width;
      s.pen.strokeRect(s.left - 1, y - 1, s.width - s.left - RIGHT + 2, Math.max(each, 2) + 2);
    }
    s.pen.font = `700 ${s.pen.font}`;
    write(s, String(state.unit), s.left - 6, y + each / 2, { align: "right", colour: s.ink });
    s.pen.font = s.pen.font.replace("700 ", "").replace("bold ", "");
  }
  sideways(s, "unit", top + height / 2);
  timeAxis(s, top + height);
}

function jacobian() {
  const found = direction().jacobian;
  $("jacobian-figure").hidden = !found;
  if (!found) return;
  const s = surface("jacobian", 96 + AXIS), at = values(found), count = found.columns;
  const all = Array.from({ length: count }, (_, k) => at(0, k));
  lines(s, 8, 92, Math.min(...all, 0.8), Math.max(...all, 1.2), [
    { at: () => 1, count, middle: (k) => (span(k)[0] + span(k)[1]) / 2, colour: s.quiet, dash: [4, 4] },
    { at: (k) => all[k], count, middle: (k) => (span(k)[0] + span(k)[1]) / 2, colour: LINES[theme()][0] },
  ], { name: "σ max" });
  cursor(s, 4, 96);
  timeAxis(s, 96);
}

function gates() {
  const s = surface("gates", 330 + AXIS), columns = traced().columns, colours = LINES[theme()];
  const middle = (k) => (span(k)[0] + span(k)[1]) / 2, unit = state.unit;
  const line = (quantity, k) => ({ at: (step) => of(quantity)(unit, step), count: columns, middle, colour: colours[k], dash: DASHES[k] });
  lines(s, 8, 140, 0, 1, [line("input_gate", 0), line("forget_gate", 1), line("output_gate", 2)], { name: "gates" });
  const cells = [line("cell", 5), line("candidate", 3)];
  if (layer().hidden === layer().units) cells.push(line("hidden", 4));
  cells[0].dash = [];
  let low = 0, high = 0;
  for (const { at } of cells) {
    for (let k = 0; k < columns; k++) {
      low = Math.min(low, at(k));
      high = Math.max(high, at(k));
    }
  }
  const pad = 0.05 * (high - low || 1);
  lines(s, 164, 326, low - pad, high + pad, cells, { name: "cell" });
  cursor(s, 4, 330);
  timeAxis(s, 330);
}

// ---------------------------------------------------------------- memory

/** A chart of its own: points with two named axes. */
function chart(id, height, { x, y, x0, x1, y0, y1, log = false, draw }) {
  const s = surface(id, height), bottom = height - 42, top = 10;
  const across = (value) => s.left + ((value - x0) / (x1 - x0 || 1)) * (s.width - s.left - RIGHT);
  const scale = (value) => (log ? Math.log10(value) : value);
  const up = (value) => bottom - ((scale(value) - scale(y0)) / (scale(y1) - scale(y0) || 1)) * (bottom - top);
  const powers = [];
  if (log) for (let p = Math.ceil(Math.log10(y0)); p <= Math.log10(y1) + 1e-9; p++) powers.push(10 ** p);
  for (const tick of log ? powers : ticks(y0, y1, 4)) {
    s.pen.strokeStyle = s.grid;
    s.pen.beginPath();
    s.pen.moveTo(s.left, up(tick));
    s.pen.lineTo(s.width - RIGHT, up(tick));
    s.pen.stroke();
    write(s, tick.toLocaleString("en", { maximumFractionDigits: 3 }), s.left - 6, up(tick), { align: "right" });
  }
  for (const tick of ticks(x0, x1, Math.max(2, Math.floor(s.width / 90)))) {
    write(s, tick.toLocaleString("en"), clamp(across(tick), s.left, s.width - RIGHT - 8), bottom + 12, { align: "center" });
  }
  write(s, x, (s.left + s.width - RIGHT) / 2, bottom + 30, { align: "center" });
  sideways(s, y, (top + bottom) / 2);
  draw(s, across, up, bottom);
}

function horizon() {
  const curves = content.memory ? content.memory.curves : [];
  $("horizon-figure").hidden = !curves.length;
  if (!curves.length) return;
  const last = Math.max(...curves.map((curve) => curve.lags[curve.lags.length - 1]), 1);
  chart("horizon", 240, { x: content.memory.axis, y: "influence", x0: 0, x1: last, y0: 0, y1: 1, draw: (s, across, up, bottom) => {
    curves.forEach((curve, k) => {
      s.pen.strokeStyle = LINES[theme()][k % 6];
      s.pen.setLineDash(DASHES[k % 6]);
      s.pen.lineWidth = 1.8;
      s.pen.beginPath();
      curve.lags.forEach((lag, place) => s.pen.lineTo(across(lag), up(curve.influence[place])));
      s.pen.stroke();
      s.pen.setLineDash([2, 3]);
      s.pen.lineWidth = 1;
      [curve.half, curve.ninety].forEach((at, which) => {
        if (k > 0 || at === null || at === undefined) return; // the figures of the first curve alone
        s.pen.beginPath();
        s.pen.moveTo(across(at), up(1));
        s.pen.lineTo(across(at), bottom);
        s.pen.stroke();
        const far = across(at) > s.width - RIGHT - 46;
        write(s, which ? "90 %" : "50 %", across(at) + (far ? -4 : 4), up(1) + 8 + 16 * which, { align: far ? "right" : "left" });
      });
      s.pen.setLineDash([]);
    });
  } });
  legend("horizon-legend", curves.length > 1 ? curves.map((curve) => curve.name) : []);
}

function halfLives() {
  const all = layer().half_life;
  $("lives-figure").hidden = !all;
  if (!all) return;
  const lives = all[state.direction].map((life, unit) => [life ?? Infinity, unit]).sort((a, b) => b[0] - a[0]);
  const finite = lives.map(([life]) => life).filter(Number.isFinite);
  const most = 10 ** Math.ceil(Math.log10(Math.max(...finite, 2)) + 0.1), least = 10 ** Math.floor(Math.log10(Math.min(...finite, 1)));
  chart("lives", 240, { x: "units, longest memory first", y: "half-life, steps", x0: 0, x1: lives.length, y0: least, y1: most, log: true,
    draw: (s, across, up) => lives.forEach(([life, unit], place) => {
      const chosen = unit === state.unit;
      s.pen.fillStyle = chosen ? LINES[theme()][1] : LINES[theme()][0];
      s.pen.beginPath();
      s.pen.arc(across(place + 0.5), up(Number.isFinite(life) ? life : most), chosen ? 5 : 2.6, 0, 7);
      s.pen.fill();
      if (chosen) {
        const far = across(place) > s.width - 100;
        write(s, `unit ${unit}: ${halfLife(Number.isFinite(life) ? life : null)}`, across(place + 0.5) + (far ? -9 : 9), up(Number.isFinite(life) ? life : most) - 8,
          { align: far ? "right" : "left", colour: s.ink });
      }
    }) });
}
