// Sixteen futures of one moment.

import { Dream } from "../world.js";
import { Screen, make, points, slide } from "../ui.js";

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
    new IntersectionObserver(([entry]) => { if (entry.isIntersecting && this.world && this.moment !== this.now()) this.show(); }).observe(section);
  }

  open(world) {
    this.world = world;
    this.dream = new Dream(world.mdnrnn, LANES);
    this.show();
  }

  /** What tells one moment of the dream above from another. */
  now() { return `${this.drive.seed}, ${this.drive.dream.t}`; }

  /** The moment itself, sixteen times. */
  show() {
    this.run++; // whatever was going on is of another moment
    this.moment = this.now();
    this.find(".said").textContent = "";
    const pixels = this.world.decoder.paint(this.drive.dream.z);
    this.tiles.forEach((tile) => { tile.show(pixels); tile.dim(false); });
  }

  go() {
    const { dream, drive, world } = this;
    drive.clock.stop();
    dream.reset(drive.dream.z, Math.floor(Math.random() * 2 ** 31), drive.dream);
    dream.tau = this.tau.value;
    this.show();
    const mine = this.run;
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
    const range = world.about.reward ? ` They were promised ${points(Math.min(...dream.total))} to ${points(Math.max(...dream.total))} points.` : "";
    this.find(".said").textContent = `${steps} frames on: ${ended ? `${ended} of sixteen ended on the way` : "all sixteen go on"}.${range}`;
    this.tiles.forEach((tile, l) => tile.say(`future ${l + 1}${dream.over[l] ? `, over at frame ${dream.ended[l]}` : ""}`));
  }
}
