// Charts on canvas: lines over the last minutes, and the map of slots.
//
// A canvas is drawn anew with each sample, at the size that the layout gives it. Colours come from
// the style sheet, so they follow the theme.

/** Samples that a chart keeps: three minutes, one a second. */
const SAMPLES_MAX = 180;

/** A young chart is that wide already. */
const SAMPLES_MIN = 60;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A context in CSS pixels, sharp on every screen, and its size. */
function prepare(canvas, height = canvas.clientHeight) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixelWidth) canvas.width = pixelWidth;
  if (canvas.height !== pixelHeight) canvas.height = pixelHeight;
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

/** The next of 1, 2, 5, 10, 20 ... that is not below a value. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** Areas on top of each other, or a single line. */
export class LineChart {
  #canvas;
  #colors;
  #format;
  #samples = [];
  #isSmall;

  /** `colors` from the lowest area up; without a `format` there are no axes. */
  constructor(canvas, colors, format) {
    this.#canvas = canvas;
    this.#colors = colors;
    this.#format = format;
    this.#isSmall = !format;
    canvas.setAttribute("role", "img");
  }

  /** Adds a sample, one value for each area; `null` leaves a gap. */
  push(values, label) {
    this.#samples.push(values);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
    if (label) this.#canvas.setAttribute("aria-label", label);
  }

  draw() {
    const { pen, width, height } = prepare(this.#canvas);
    const sums = this.#samples.filter(Boolean).map((values) => values.reduce((a, b) => a + b, 0));
    const top = roundUp(Math.max(...sums, 1e-9) * 1.05) || 1;
    const area = this.#isSmall
      ? { left: 0, top: 2, right: width, bottom: height - 1 }
      : { left: 56, top: 8, right: width - 2, bottom: height - 20 };
    const shown = Math.max(SAMPLES_MIN, this.#samples.length);
    if (!this.#isSmall) this.#axes(pen, area, top, shown);
    const step = (area.right - area.left) / (shown - 1);
    const x = (index) => area.right - (this.#samples.length - 1 - index) * step;
    const y = (value) => area.bottom - (value / top) * (area.bottom - area.top);
    for (let layer = this.#colors.length - 1; layer >= 0; layer -= 1) {
      const sum = (values) => values.slice(0, layer + 1).reduce((a, b) => a + b, 0);
      this.#layer(pen, style(this.#colors[layer]), x, (values) => y(sum(values)), area.bottom);
    }
  }

  #axes(pen, area, top, shown) {
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = style("--muted");
    pen.strokeStyle = style("--line");
    pen.lineWidth = 1;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(area.bottom - part * (area.bottom - area.top)) + 0.5;
      pen.beginPath();
      pen.moveTo(area.left, y);
      pen.lineTo(area.right, y);
      pen.stroke();
      pen.fillText(part === 0 ? "0" : this.#format(top * part), area.left - 8, y);
    }
    pen.textBaseline = "alphabetic";
    pen.fillText("now", area.right, area.bottom + 15);
    pen.textAlign = "left";
    pen.fillText(`${shown} s ago`, area.left, area.bottom + 15);
  }

  #layer(pen, color, x, y, bottom) {
    // Each run without a gap is an area of its own.
    let run = [];
    const flush = () => {
      if (run.length > 0) this.#area(pen, color, run, bottom);
      run = [];
    };
    this.#samples.forEach((values, index) => {
      if (values) run.push([x(index), y(values)]);
      else flush();
    });
    flush();
  }

  #area(pen, color, points, bottom) {
    const [first, last] = [points[0], points[points.length - 1]];
    const line = new Path2D();
    points.forEach(([x, y], index) => (index === 0 ? line.moveTo(x, y) : line.lineTo(x, y)));
    if (points.length === 1) line.lineTo(first[0] + 1, first[1]);
    const filled = new Path2D(line);
    filled.lineTo(last[0], bottom);
    filled.lineTo(first[0], bottom);
    pen.fillStyle = color;
    // What lies below must not shine through: its layer is drawn over this one.
    if (!this.#isSmall) {
      pen.fillStyle = style("--card");
      pen.fill(filled);
      pen.fillStyle = color;
    }
    pen.globalAlpha = this.#isSmall ? 0.15 : 0.4;
    pen.fill(filled);
    pen.globalAlpha = 1;
    pen.strokeStyle = color;
    pen.lineWidth = 1.5;
    pen.stroke(line);
  }
}

const HUES = [205, 32, 150, 280, 0, 90, 245, 50, 175, 320];

/** The colour of the group at a position among all groups. */
export function groupColor(position) {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const hue = HUES[position % HUES.length];
  const shade = Math.floor(position / HUES.length) % 3;
  return `hsl(${hue} 48% ${(isDark ? 52 : 50) + (shade - (shade > 1 ? 3 : 0)) * 13}%)`;
}

/** The 1024 slots as squares: coloured by group, with a pattern when not in their normal state. */
export class SlotMap {
  #canvas;
  #slots = [];

  /** `onPoint` is told the slot under the pointer, or nothing. */
  constructor(canvas, onPoint) {
    this.#canvas = canvas;
    canvas.addEventListener("pointermove", (event) => onPoint(this.#at(event)));
    canvas.addEventListener("pointerleave", () => onPoint());
  }

  /** Shows slots: an array of `{ color, state }` by number. */
  show(slots) {
    this.#slots = slots;
    this.draw();
  }

  #columns() {
    return this.#canvas.clientWidth < 600 ? 32 : 64;
  }

  #at(event) {
    const box = this.#canvas.getBoundingClientRect();
    const columns = this.#columns();
    const side = box.width / columns;
    const column = Math.min(columns - 1, Math.floor((event.clientX - box.left) / side));
    const row = Math.floor((event.clientY - box.top) / this.#rowHeight(side));
    return row * columns + column;
  }

  #rowHeight(side) {
    return Math.min(side, 14);
  }

  draw() {
    const columns = this.#columns();
    const side = this.#canvas.clientWidth / columns;
    const rowHeight = this.#rowHeight(side);
    const height = Math.ceil((1024 / columns) * rowHeight);
    this.#canvas.style.height = `${height}px`;
    const { pen } = prepare(this.#canvas, height);
    this.#slots.forEach(({ color, state }, number) => {
      const x = (number % columns) * side;
      const y = Math.floor(number / columns) * rowHeight;
      drawSlot(pen, x, y, side - 1.5, rowHeight - 1.5, color, state);
    });
  }
}

/** An offline slot is an empty frame, a held one has the two bars of a pause, others are hatched. */
export function drawSlot(pen, x, y, width, height, color, state) {
  if (state === "offline") {
    pen.strokeStyle = style("--offline");
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    return;
  }
  pen.fillStyle = color;
  pen.fillRect(x, y, width, height);
  if (state === "normal") return;
  if (state === "held") {
    const bar = Math.max(2, width / 6);
    pen.fillStyle = style("--card");
    for (const left of [width / 2 - 1.5 * bar, width / 2 + 0.5 * bar]) {
      pen.fillRect(x + left, y + height / 5, bar, (height * 3) / 5);
    }
    return;
  }
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = style("--card");
  pen.lineWidth = 2;
  for (let offset = -height; offset < width; offset += 5) {
    pen.beginPath();
    pen.moveTo(x + offset, y + height);
    pen.lineTo(x + offset + height, y);
    pen.stroke();
  }
  pen.restore();
}
