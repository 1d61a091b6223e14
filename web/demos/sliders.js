// z by hand: V's sliders, real frames encoded, and walks between them.

import { Encoder, Luck } from "../world.js";
import { Screen, asImage, make, slide } from "../ui.js";

const REACH = 4; // z is about standard normal
const FIRST = 8; // sliders that are shown at once: the most active ones

export class Sliders {
  constructor(section, drive) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, drive });
    this.screens = Object.fromEntries(["from", "painted", "to"].map((name) => [name, new Screen(find(`canvas.${name}`))]));
    this.ends = Object.fromEntries(["from", "to"].map((name) => [name, { at: find(`.${name}-at`), z: null }]));
    for (const name of ["from", "to"]) this.ends[name].at.oninput = () => { this.look(name); this.walked(name === "from" ? 0 : 1); };
    this.walk = slide(section, "walk", (way) => this.walked(way));
    find(".zero").onclick = () => this.set(new Float32Array(this.z.length), "z = 0: what V paints when it is told nothing.");
    find(".random").onclick = () => {
      const luck = new Luck(Math.floor(Math.random() * 2 ** 32));
      this.set(this.z.map(() => luck.normal()), "A z drawn by chance: no frame lies behind it.");
    };
    find(".into").onclick = () => {
      this.drive.clock.stop();
      this.drive.reset(this.z);
      this.drive.section.scrollIntoView();
    };
    find(".more").onclick = () => {
      const all = find(".zs").classList.toggle("all");
      find(".more").setAttribute("aria-expanded", all);
      find(".more").textContent = all ? "Show the most active" : "Show all of z";
    };
  }

  open(world) {
    this.section.inert = true; // until V's eyes and the recorded game are there
    this.world = world;
    this.z = new Float32Array(world.about.z);
    this.encoder = this.record = null;
    this.find(".z-size").textContent = world.about.z;
    this.rows = world.order.map((i) => {
      const input = make("input", { type: "range", min: -REACH, max: REACH, step: 0.05, value: 0 }, { "aria-label": `z[${i}]` });
      const value = make("output", {}, {}, "0.00"), range = make("i", {}, { "aria-hidden": "true" });
      input.oninput = () => { this.z[i] = +input.value; value.textContent = (+input.value).toFixed(2); this.paint(); };
      return { i, input, value, range, element: make("div", { className: "z" }, {}, make("span", {}, {}, `z[${i}]`), make("span", { className: "track" }, {}, range, input), value) };
    });
    this.rows.forEach((row, n) => row.element.classList.toggle("more-z", n >= FIRST));
    this.find(".zs").replaceChildren(...this.rows.map((row) => row.element));
  }

  recorded(record) {
    const { z: Z } = this.world.about, frames = record.mu.length / Z;
    this.record = record;
    for (const { i, input, range } of this.rows) {
      const values = Float32Array.from({ length: frames }, (_, t) => record.mu[t * Z + i]).sort(), [low, high] = [0.05, 0.95].map((q) => values[Math.floor(q * (frames - 1))]);
      range.style.setProperty("--low", (low + REACH) / (2 * REACH));
      range.style.setProperty("--high", (high + REACH) / (2 * REACH));
      input.title = `real frames: ${low.toFixed(1)} to ${high.toFixed(1)}`;
    }
    for (const [name, share] of [["from", 0.15], ["to", 0.6]]) {
      this.ends[name].at.max = frames - 1;
      this.ends[name].at.value = Math.round(share * (frames - 1));
    }
    this.begin();
  }

  /** V's encoder has come. */
  eyes({ tensors }) {
    this.encoder = new Encoder(this.world.engine, tensors);
    this.begin();
  }

  begin() {
    if (!this.encoder || !this.record) return;
    this.section.inert = false;
    this.look("from");
    this.look("to");
    this.walked(0);
  }

  /** V encodes the real frame that was chosen at one end. */
  look(name) {
    const t = +this.ends[name].at.value, frame = this.record.frame(t);
    this.screens[name].show(frame);
    this.screens[name].say(`the game's frame ${t}`);
    this.find(`.${name}-shown`).textContent = t;
    this.ends[name].z = this.encoder.encode(asImage(frame)).mu;
  }

  walked(way) {
    const { from, to } = this.ends;
    this.walk.set(way);
    this.set(from.z.map((value, i) => (1 - way) * value + way * to.z[i]), way === 0 || way === 1 ? `V's own z of frame ${(way ? to : from).at.value}.` : `${Math.round(100 * way)} % of the way from frame ${from.at.value} to frame ${to.at.value}.`);
  }

  set(z, text) {
    this.z = Float32Array.from(z);
    for (const { i, input, value } of this.rows) {
      input.value = z[i];
      value.textContent = z[i].toFixed(2);
    }
    this.find(".said").textContent = text;
    this.paint();
  }

  paint() { this.screens.painted.show(this.world.decoder.paint(this.z)); }
}
