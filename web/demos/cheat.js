// Controllers and what they were promised; each in a cold dream and in a hot one.

import { Dream } from "../world.js";
import { Clock, Screen, make, points, slide } from "../ui.js";

const FAST = 8; // steps from picture to picture, for those who want to see how it ends

export class Cheat {
  constructor(section) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, seed: Math.floor(Math.random() * 2 ** 31) });
    this.sides = ["cold", "hot"].map((name) => ({ name, screen: new Screen(find(`.${name}`)), tau: slide(section, `${name}-tau`) }));
    this.clock = new Clock(section, () => this.step());
    this.clock.before = () => { if (this.sides.every(({ dream }) => dream.over[0])) this.reset(); };
    find(".reset").onclick = () => this.reset();
    find(".fast").onclick = () => find(".fast").setAttribute("aria-pressed", find(".fast").getAttribute("aria-pressed") !== "true");
  }

  open(world) {
    this.clock.stop();
    this.world = world;
    for (const side of this.sides) side.dream = new Dream(world.mdnrnn);
    const { drivers } = world.about, most = Math.max(...drivers.flatMap(({ promise, paid }) => [promise.mean, paid?.mean ?? 0]));
    const bar = (kind, score) => {
      if (!score) return make("td", {}, {}, "not measured");
      const meter = make("i", { className: `bar ${kind}` }, { "aria-hidden": "true" });
      meter.style.setProperty("--share", Math.max(0, score.mean / most));
      return make("td", {}, {}, make("b", {}, {}, points(score.mean)), score.tau ? ` at τ = ${score.tau}` : ` over ${score.n} games`, meter);
    };
    this.find("tbody").replaceChildren(...drivers.map((driver) => {
      const input = make("input", { type: "radio", name: "cheat", value: driver.file });
      input.onchange = () => { this.driver = driver; this.reset(); };
      return make("tr", {}, {}, make("th", { scope: "row" }, {}, make("label", {}, {}, input, ` ${driver.title}`)), bar("blue", driver.promise), bar("orange", driver.paid));
    }));
    // The one that was promised the most beyond what it was paid.
    const lie = ({ promise, paid }) => (paid ? promise.mean - paid.mean : -Infinity);
    this.driver = drivers.reduce((worst, driver) => (lie(driver) > lie(worst) ? driver : worst));
    this.find(`[value="${this.driver.file}"]`).checked = true;
    this.reset();
  }

  reset() {
    this.seed = (this.seed + 1) % 2 ** 31;
    for (const { dream } of this.sides) dream.reset(this.world.start(this.seed), this.seed);
    this.show();
  }

  step() {
    for (const { dream, tau } of this.sides) {
      dream.tau = tau.value;
      const steps = this.find(".fast").getAttribute("aria-pressed") === "true" ? FAST : 1;
      for (let n = 0; n < steps && !dream.over[0]; n++) dream.step(this.world.drivers[this.driver.file]);
    }
    this.show();
    if (this.sides.every(({ dream }) => dream.over[0])) this.clock.stop();
  }

  show() {
    const { reward } = this.world.about;
    for (const { name, dream, screen, tau } of this.sides) {
      screen.show(this.world.decoder.paint(dream.z));
      screen.dim(dream.over[0]);
      const got = reward ? `${points(dream.total[0])} points promised in ${points(dream.t)} frames` : `${points(dream.t)} frames survived`;
      const text = `τ = ${tau.value.toFixed(2)}: ${got}${dream.over[0] ? ", over" : ""}`;
      this.find(`.${name}-name`).textContent = text;
      if (dream.t % 30 === 0) screen.say(text);
    }
    const { paid } = this.driver, said = paid ? `The game itself paid this controller ${points(paid.mean)} ${reward ? "points" : "frames"} on average.` : "";
    if (this.find(".said").textContent !== said) this.find(".said").textContent = said;
  }
}
