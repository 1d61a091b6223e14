// What all demos share: elements, screens, charts, and a clock.

export const SIZE = 64; // of every picture, in pixels

/** Something that the reader has to be told; the page shows the message. */
export class PageError extends Error {}

/** An element with properties, attributes (aria and the like) and children. */
export function make(tag, properties = {}, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function context(canvas, options) {
  const found = canvas.getContext?.("2d", options);
  if (!found) throw new PageError("This browser draws no canvas, and all pictures here are drawn on one. Allow it, or try another browser.");
  return found;
}

/** A canvas that shows pictures of 64 x 64. */
export class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = context(canvas);
  }

  /** pixels: (64, 64, 4) of 0 to 255. */
  show(pixels) { this.context.putImageData(new ImageData(pixels, SIZE, SIZE), 0, 0); }

  say(text) { this.canvas.setAttribute("aria-label", text); }

  dim(on) { this.canvas.classList.toggle("over", on); }
}

/** The frames of a recorded game, from one picture that holds them all. */
export class Film {
  constructor(image, columns) {
    this.columns = columns;
    this.image = image;
    this.context = context(make("canvas", { width: SIZE, height: SIZE }), { willReadFrequently: true });
  }

  /** Frame t, (64, 64, 4) of 0 to 255. */
  frame(t) {
    this.context.drawImage(this.image, (t % this.columns) * SIZE, Math.floor(t / this.columns) * SIZE, SIZE, SIZE, 0, 0, SIZE, SIZE);
    return this.context.getImageData(0, 0, SIZE, SIZE).data;
  }
}

/** Pixels (64, 64, 4) of 0 to 255 as V takes them: (64, 64, 3) in [0, 1]. */
export function asImage(pixels) {
  const image = new Float32Array(SIZE * SIZE * 3);
  for (let p = 0; p < SIZE * SIZE; p++) for (let d = 0; d < 3; d++) image[3 * p + d] = pixels[4 * p + d] / 255;
  return image;
}

const drawings = new Set();

/** A canvas that is drawn in the page's own colours, as large as it stands there, and anew when either changes. */
export class Drawing {
  constructor(canvas, draw) {
    Object.assign(this, { canvas, draw, context: context(canvas) });
    drawings.add(this);
    if ("ResizeObserver" in globalThis) new ResizeObserver(() => this.paint()).observe(canvas);
  }

  paint() {
    const { canvas, context } = this, ratio = globalThis.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return; // not to be seen now
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.draw(context, width, height, colours());
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { palette = null; drawings.forEach((drawing) => drawing.paint()); });
let palette = null;

/** The page's colours by name, as style.css has them. */
export function colours() {
  const style = getComputedStyle(document.documentElement), names = ["ink", "faint", "line", "card", "blue", "orange"];
  return (palette ??= Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])));
}

/** A line through values, oldest first, over the whole width; y gives a value's height in pixels. */
export function line(context, values, colour, x, y, { width = 2, dash = [] } = {}) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  values.forEach((value, i) => (i ? context.lineTo(x(i), y(value)) : context.moveTo(x(i), y(value))));
  context.stroke();
  context.setLineDash([]);
}

/** Words that explain a drawing's colours: [colour's name, text] for each. */
export function key(element, entries) {
  element.replaceChildren(...entries.flatMap(([name, text]) => [make("i", { className: `swatch ${name}` }, { "aria-hidden": "true" }), `${text} `]));
}

/** A slider's label shows its value; `tell` hears of it. Returns a function that reads it. */
export function slide(section, name, tell = () => {}, digits = 2) {
  const input = section.querySelector(`.${name}`), shown = section.querySelector(`.${name.replace(/-tau$/, "")}-shown`);
  const show = () => { if (shown) shown.textContent = (+input.value).toFixed(digits); };
  input.addEventListener("input", () => { show(); tell(+input.value); });
  show();
  return { input, get value() { return +input.value; }, set(value) { input.value = value; show(); } };
}

const RATE = 30; // steps a second

/** Calls `step` thirty times a second while it is started and its section is in sight. */
export class Clock {
  constructor(section, step, button = section.querySelector(".play-button")) {
    Object.assign(this, { section, step, button, running: false, seen: true, times: [], last: 0 });
    button.addEventListener("click", () => (this.running ? this.stop() : this.start()));
    new IntersectionObserver(([entry]) => { this.seen = entry.isIntersecting; this.times = []; }).observe(section);
    this.show();
  }

  /** What happens before it starts; set by the demo, for a new beginning after an end. */
  before() {}

  start() {
    if (this.running) return;
    this.before();
    this.running = true;
    this.times = [];
    this.show();
    requestAnimationFrame((now) => this.tick(now));
  }

  stop() {
    this.running = false;
    this.show();
  }

  show() { this.button.textContent = this.running ? "Pause" : "Play"; }

  tick(now) {
    if (!this.running) return;
    if (this.seen && now - this.last > 1000 / RATE - 4) { // the browser calls at its own pace, every 16 ms or so
      this.last = now;
      this.times = [...this.times, now].slice(-RATE);
      this.step();
    }
    requestAnimationFrame((later) => this.tick(later));
  }

  /** Steps a second, lately; 0 where that is not known yet. */
  get rate() { return this.times.length < 8 ? 0 : (1000 * (this.times.length - 1)) / (this.times.at(-1) - this.times[0]); }
}

/** A whole number as text, with a true minus. */
export const points = (value) => Math.round(value).toLocaleString("en").replace("-", "−");
