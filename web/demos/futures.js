// Sixteen futures of one moment.

import { Dream } from "../world.js";
import { Screen, make, slide } from "../ui.js";

const LANES = 16, STEPS = 60, BETWEEN = 2; // steps in all, and from picture to picture: painting is what takes time

export class Futures {
  constructor(section, drive) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, drive, run: 0 });
    this.tau = slide(section, "tau");
    this.tiles = Array.from({ length: LANES }, (_, l) => new Screen(make("canvas", { className: "screen", width: 64, height: 64 }, { role: "img", "aria-label": `future ${l + 1}` })));
    find(".tiles").replaceChildren(...this.tiles.map((tile) => tile.canvas));
    find(".go").onclick = () => this.go();
    // The moment may have moved on while the reader was elsewhere.
    new IntersectionObserver(([entry]) => { if (entry.isIntersecting && !this.busy && this.world) this.show(); }).observe(section);
  }

  open(world) {
    this.world = world;
    this.dream = new Dream(world.mdnrnn, LANES);
    this.busy = false;
    this.run++;
    this.show();
  }

  /** The moment itself, sixteen times. */
  show() {
    const pixels = this.world.decoder.paint(this.drive.dream.z);
    this.tiles.forEach((tile) => { tile.show(pixels); tile.dim(false); });
  }

  go() {
    const { dream, drive, world } = this, mine = ++this.run;
    drive.clock.stop();
    this.busy = true;
    dream.reset(drive.dream.z, Math.floor(Math.random() * 2 ** 31), drive.dream);
    dream.tau = this.tau.value;
    this.show();
    this.find(".said").textContent = "";
    let steps = 0;
    const next = () => {
      if (mine !== this.run) return;
      for (let n = 0; n < BETWEEN; n++) dream.step(world.drivers.controller);
      this.tiles.forEach((tile, l) => {
        tile.show(world.decoder.paint(dream.z, l * world.about.z));
        tile.dim(dream.over[l]);
      });
      if ((steps += BETWEEN) < STEPS && dream.over.includes(false)) requestAnimationFrame(next);
      else this.end(steps);
    };
    requestAnimationFrame(next);
  }

  end(steps) {
    const { dream, world } = this, ended = dream.ended.filter((t) => t >= 0 && t < world.about.horizon).length;
    this.busy = false;
    const points = [...dream.total].map(Math.round), range = world.about.reward ? ` They were promised ${Math.min(...points)} to ${Math.max(...points)} points.` : "";
    this.find(".said").textContent = `${steps} frames on, ${ended || "none"} of sixteen ${ended === 1 ? "has" : "have"} come to an end.${range}`;
    this.tiles.forEach((tile, l) => tile.say(`future ${l + 1}${dream.over[l] ? `, over at frame ${dream.ended[l]}` : ""}`));
  }
}
