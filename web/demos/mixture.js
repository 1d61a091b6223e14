// What M says of one number of the next z: five bell curves, and draws from them.

import { Dream, Luck } from "../world.js";
import { Drawing, Screen, key, line, make, slide } from "../ui.js";

const DRAWS = 150;

export class Mixture {
  constructor(section, drive) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, drive, seed: 1 });
    this.tau = slide(section, "tau", () => this.show());
    this.chart = new Drawing(find(".strip"), (...where) => this.draw(...where));
    find(".element").onchange = () => this.show();
    find(".draw").onclick = () => { this.seed++; this.show(); };
    key(find(".key"), [["blue", "how likely each value is"], ["orange", `${DRAWS} draws`]]);
    new IntersectionObserver(([entry]) => { if (entry.isIntersecting && this.world) this.look(); }).observe(section);
  }

  open(world) {
    this.world = world;
    this.dream = new Dream(world.mdnrnn);
    const { mixtures: K } = world.about;
    this.find(".k").textContent = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"][K] ?? K;
    this.find(".element").replaceChildren(...world.order.map((i) => new Option(`z[${i}]`, i)));
    this.tiles = Array.from({ length: K }, () => new Screen(make("canvas", { className: "screen", width: 64, height: 64 }, { role: "img" })));
    this.find(".tiles").replaceChildren(...this.tiles.map((tile) => make("figure", {}, {}, tile.canvas, make("figcaption"))));
    this.look();
  }

  /** What M says now: it takes the step that comes next in the dream above. */
  look() {
    const { dream, drive, world } = this, now = drive.dream;
    dream.reset(now.z, 0, now);
    const action = world.drivers.controller.act(world.drivers.controller.features(now.z, now.memory));
    world.mdnrnn.step(dream.memory, now.z, action, now.t === 0);
    this.show();
  }

  show() {
    const { dream, world } = this, i = +this.find(".element").value, tau = this.tau.value, { pi, mu, sigma } = world.mdnrnn.mixture(dream.memory, i, tau);
    const luck = new Luck(this.seed * 65537), z = Float32Array.from(dream.z);
    this.curves = { pi, mu, sigma };
    this.drawn = Array.from({ length: DRAWS }, () => {
      let mark = luck.uniform(), k = 0;
      while (k < pi.length - 1 && mark > pi[k]) mark -= pi[k++];
      return mu[k] + sigma[k] * luck.normal();
    });
    this.tiles.forEach((tile, k) => {
      z[i] = mu[k];
      tile.show(world.decoder.paint(z));
      const text = `curve ${k + 1}: ${(100 * pi[k]).toFixed(0)} %, at ${mu[k].toFixed(2)}`;
      tile.say(`the next picture if z[${i}] were ${mu[k].toFixed(2)}`);
      tile.canvas.nextElementSibling.textContent = text;
      tile.canvas.parentElement.classList.toggle("unlikely", pi[k] < 0.01);
    });
    const mean = this.drawn.reduce((a, b) => a + b) / DRAWS, spread = Math.sqrt(this.drawn.reduce((sum, x) => sum + (x - mean) ** 2, 0) / DRAWS);
    this.find(".said").textContent = `At τ = ${tau.toFixed(2)}, ${DRAWS} draws of z[${i}] lie at ${mean.toFixed(2)} ± ${spread.toFixed(2)}.`;
    this.chart.canvas.setAttribute("aria-label", `The mixture of z[${i}]: ${pi.map((p, k) => `${(100 * p).toFixed(0)} % at ${mu[k].toFixed(2)}`).join(", ")}`);
    this.chart.paint();
  }

  draw(context, width, height, { line: grey, blue, orange, faint, ink }) {
    if (!this.curves) return;
    const { pi, mu, sigma } = this.curves, shown = [...mu.keys()].filter((k) => pi[k] > 0.01); // the others would only make the picture wider
    const low = Math.min(...shown.map((k) => mu[k] - 3.5 * sigma[k])), high = Math.max(...shown.map((k) => mu[k] + 3.5 * sigma[k]));
    const floor = height - 34, x = (value) => ((value - low) / (high - low)) * width, value = (p) => low + (p / width) * (high - low);
    const bell = (v, k) => (pi[k] / sigma[k]) * Math.exp(-0.5 * ((v - mu[k]) / sigma[k]) ** 2);
    const places = Array.from({ length: Math.floor(width) }, (_, p) => value(p)), curves = mu.map((_, k) => places.map((v) => bell(v, k))), sum = places.map((_, p) => curves.reduce((s, curve) => s + curve[p], 0));
    const top = Math.max(...sum), y = (density) => floor - (density / top) * (floor - 6);
    for (const curve of curves) line(context, curve, faint, (p) => p, y, { width: 1 });
    line(context, sum, blue, (p) => p, y, { width: 2.5 });
    line(context, [0, 0], grey, (i) => i * width, () => floor, { width: 1 });
    context.globalAlpha = 0.5;
    for (const drawn of this.drawn) line(context, [0, 1], orange, () => x(drawn), (end) => floor + 3 + 12 * end, { width: 1.5 });
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    for (let n = 1; n < 6; n++) context.fillText(value((n * width) / 6).toFixed(2), (n * width) / 6, height - 4);
  }
}
