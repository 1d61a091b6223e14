// Game and dream side by side, under the actions of a recorded game; and eyes that close.

import { Dream } from "../world.js";
import { Clock, Drawing, Screen, asImage, key, line, slide } from "../ui.js";

const PARTED_FOR = 10; // frames in a row that the dream has to be beside the game before it counts as parted

export class Beside {
  constructor(section) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, apart: [] });
    this.game = new Screen(find(".game"));
    this.mind = new Screen(find(".mind"));
    this.strip = new Drawing(find(".strip"), (...where) => this.drawStrip(...where));
    this.clock = new Clock(section, () => this.step());
    this.clock.before = () => { if (this.t >= this.last) this.goTo(0); };
    this.tau = slide(section, "tau");
    this.at = slide(section, "at", (t) => { this.clock.stop(); this.goTo(t); }, 0);
    find(".eyes").onclick = () => (this.closed === null ? this.closeEyes() : this.openEyes());
    key(find(".key"), [["blue", "how far the dream's picture is from the game's: at the dashed line, as far as a picture of nothing"]]);
  }

  open(world) {
    this.clock.stop();
    this.section.inert = true; // until the recorded game is there
    this.world = world;
    this.dream = new Dream(world.mdnrnn);
    this.nothing = Float32Array.from(world.decoder.decode(new Float32Array(world.about.z)));
  }

  recorded(record) {
    this.record = record;
    this.last = record.actions.length / this.dream.mdnrnn.A;
    this.at.input.max = this.last;
    this.section.inert = false;
    this.goTo(0);
  }

  z(t) { const { z: Z } = this.world.about; return this.record.mu.subarray(t * Z, (t + 1) * Z); }
  action(t) { const { A } = this.dream.mdnrnn; return this.record.actions.subarray(t * A, (t + 1) * A); }

  /** M watches the game up to frame t, with open eyes. */
  goTo(t) {
    const { dream, record } = this;
    if (!record) return;
    dream.reset(this.z(0));
    for (this.t = 0; this.t < t;) this.watch();
    this.openEyes();
  }

  /** A step with open eyes: M remembers what was seen and done; z is V's, of the frame itself. */
  watch() {
    const { dream } = this;
    dream.mdnrnn.step(dream.memory, this.z(this.t), this.action(this.t), this.t === 0);
    dream.t = ++this.t;
    dream.z.set(this.z(this.t));
  }

  step() {
    if (this.t >= this.last) {
      this.clock.stop();
      return;
    }
    if (this.closed === null) this.watch();
    else {
      this.dream.tau = this.tau.value;
      this.dream.over[0] = false; // the game goes on, so the dream does
      this.dream.step(null, this.action(this.t));
      this.t++;
    }
    this.show();
    if (this.t >= this.last) this.clock.stop();
  }

  closeEyes() {
    this.closed = this.t;
    this.apart = [];
    this.beside = 0;
    this.parted = null;
    this.dream.luck[0].state = Math.floor(Math.random() * 2 ** 32); // another dream each time
    this.show();
  }

  /** Looking again, M knows what it would know had it never dreamt. */
  openEyes() {
    if (this.closed !== null && this.closed !== undefined) {
      const until = this.t;
      this.dream.reset(this.z(0));
      for (this.t = 0; this.t < until;) this.watch();
    }
    this.closed = null;
    this.parted = null;
    this.apart = [];
    this.show();
  }

  show() {
    const frame = this.record.frame(this.t), painted = this.world.decoder.decode(this.dream.z);
    if (this.closed !== null) this.measure(asImage(frame), painted);
    this.game.show(frame);
    this.mind.show(this.world.decoder.paint(this.dream.z));
    this.at.set(this.t);
    const closed = this.closed !== null, button = this.find(".eyes");
    button.textContent = closed ? "Open eyes" : "Close eyes here";
    button.setAttribute("aria-pressed", closed);
    this.mind.canvas.classList.toggle("closed", closed);
    this.find(".mind-name").textContent = closed ? `eyes closed for ${this.t - this.closed} frames` : "eyes open: what V makes of it";
    this.say();
    if (this.t % 30 === 0 || !this.clock.running) [this.game, this.mind].forEach((screen, i) => screen.say(`${["the game", closed ? "the dream" : "V's picture of it"][i]}, frame ${this.t}`));
    this.strip.paint();
  }

  say() {
    const text = this.closed === null ? "" : this.parted === null ? `Eyes closed at frame ${this.closed}.` : `The dream left the game at frame ${this.parted}, ${this.parted - this.closed} frames after its eyes closed.`;
    if (this.find(".said").textContent !== text) this.find(".said").textContent = text;
  }

  /** Squared error of the dream's picture over that of z = 0, both against the game's. */
  measure(game, painted) {
    let ours = 0, none = 0;
    for (let i = 0; i < game.length; i++) {
      ours += (game[i] - painted[i]) ** 2;
      none += (game[i] - this.nothing[i]) ** 2;
    }
    this.apart.push(ours / none);
    this.beside = ours >= none ? this.beside + 1 : 0;
    if (this.parted === null && this.beside === PARTED_FOR) this.parted = this.t - PARTED_FOR + 1;
  }

  drawStrip(context, width, height, { line: grey, blue, orange }) {
    const last = this.last ?? 1, x = (t) => (t / last) * width, y = (apart) => height - 3 - (Math.min(2, apart) / 2) * (height - 6);
    line(context, [1, 1], grey, (i) => i * width, y, { width: 1, dash: [4, 4] });
    line(context, [0, 0], grey, (i) => i * width, y, { width: 1 });
    if (this.closed !== null && this.closed !== undefined) line(context, this.apart, blue, (i) => x(this.closed + i), y);
    if (this.parted) line(context, [0, 2], orange, () => x(this.parted), y);
  }
}
