// Drive in the dream: by the agent's hand or yours.

import { Dream, Hands } from "../world.js";
import { Clock, Drawing, Screen, key, line, make, points, slide } from "../ui.js";

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const SIGNS = { left: "←", up: "↑", down: "↓", right: "→" };
const SHOWN = 240; // steps in the strip

export class Drive {
  constructor(section) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, held: new Set(), tapped: new Set(), past: [], seed: Math.floor(Math.random() * 2 ** 31) });
    this.screen = new Screen(find("canvas.screen"));
    this.strip = new Drawing(find("canvas.strip"), (...where) => this.drawStrip(...where));
    this.clock = new Clock(section, () => this.step());
    this.clock.before = () => { if (this.dream.over[0]) this.reset(); };
    this.tau = slide(section, "tau");
    find(".step").onclick = () => { this.clock.stop(); this.step(); };
    find(".reset").onclick = () => this.reset();
    section.querySelectorAll("[name=driver]").forEach((input) => { input.onchange = () => { this.took(input.value); if (input.value === "you") find(".stage").focus({ preventScroll: true }); }; });
    this.listen(find(".stage"));
  }

  listen(stage) {
    stage.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.key === " " && event.target !== stage)) return;
      const name = KEYS[event.key], act = { " ": () => this.clock.button.click(), ".": () => this.find(".step").click(), r: () => this.reset() }[event.key.toLowerCase()];
      if (this.hands?.names.includes(name)) this.hold(name, true, event.repeat);
      else if (!act) return;
      else if (!event.repeat) act();
      event.preventDefault();
    };
    stage.onkeyup = (event) => this.hold(KEYS[event.key], false);
    stage.addEventListener("focusout", (event) => { if (!stage.contains(event.relatedTarget)) this.letGo(); });
    addEventListener("blur", () => this.letGo());
    this.screen.canvas.onpointerdown = () => stage.focus({ preventScroll: true });
  }

  open(world) {
    this.world = world;
    this.dream = new Dream(world.mdnrnn);
    this.shadow = new Dream(world.mdnrnn); // the agent, in a dream that you have driven through
    const { about } = world;
    this.canDrive = about.hands !== null;
    this.find(".driver").hidden = this.find(".pad").hidden = !this.canDrive;
    this.find(".pad").replaceChildren(...(this.canDrive ? about.keys.map(({ name, does }) => this.padButton(name, does)) : []));
    this.find(".points-name").textContent = about.reward ? "points promised" : "frames survived";
    this.find(".actions").replaceChildren(...about.actions.map(({ name, least, most }) => make("p", {}, {}, make("span", {}, {}, name), make("span", { className: "bar-track" }, {}, make("i")), make("output"))));
    this.bars = [...this.find(".actions").children].map((row, a) => ({ bar: row.querySelector("i"), output: row.querySelector("output"), ...about.actions[a] }));
    key(this.find(".key"), [...(about.reward ? [["blue", "the reward M foretells"]] : []), ...(about.done ? [["orange", "how likely it holds the end"]] : [])]);
    this.choose("agent");
    this.reset();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.clock.start();
  }

  padButton(name, does) {
    const button = make("button", { type: "button", className: name }, { "aria-label": `hold to ${does}` }, make("b", {}, { "aria-hidden": "true" }, SIGNS[name]), make("span", {}, {}, does));
    button.onmousedown = (event) => event.preventDefault(); // the focus stays where it is, and with it the keys
    button.onpointerdown = (event) => { button.setPointerCapture(event.pointerId); this.hold(name, true); };
    button.onpointerup = button.onpointercancel = button.onlostpointercapture = button.onblur = () => this.hold(name, false);
    button.onkeydown = (event) => { if ([" ", "Enter"].includes(event.key)) { event.preventDefault(); this.hold(name, true, event.repeat); } };
    button.onkeyup = () => this.hold(name, false);
    button.onclick = (event) => { if (event.detail === 0) this.hold(name, true), this.hold(name, false); }; // a screen reader's press
    button.oncontextmenu = (event) => event.preventDefault(); // a long touch means: hold
    return button;
  }

  /** Whoever presses a key has the wheel. A short tap counts for one step, too. */
  hold(name, on, repeated = false) {
    if (!name) return;
    if (on) {
      this.held.add(name);
      if (!repeated) this.tapped.add(name);
      if (this.driver !== "you") { this.choose("you"); this.took("you"); }
      if (this.dream.t === 0 || this.dream.over[0]) this.clock.start(); // who presses a key before it began wants it to begin
    } else this.held.delete(name);
    this.find(".pad").querySelectorAll("button").forEach((button) => button.classList.toggle("held", this.held.has(button.classList[0])));
  }

  letGo() { for (const name of [...this.held]) this.hold(name, false); }

  choose(driver) {
    this.driver = driver;
    this.section.querySelectorAll("[name=driver]").forEach((input) => { input.checked = input.value === driver; });
  }

  took(driver) {
    this.driver = driver;
    this.drove ||= driver === "you";
    const how = this.canDrive ? " Press an arrow, here or on your keyboard, to take the wheel." : "";
    this.say(driver === "you" ? "You have the wheel: use the arrows, here or on your keyboard." : `The agent drives.${how}`);
  }

  reset(z = null) {
    this.seed = (this.seed + 1) % 2 ** 31;
    this.start = z ?? this.world.start(this.seed);
    this.dream.reset(this.start, this.seed);
    this.hands = this.canDrive ? new Hands(this.world.about) : null;
    this.drove = this.driver === "you";
    this.past = [];
    this.comparing = 0;
    this.show();
    this.took(this.driver);
  }

  step() {
    const { dream, world } = this;
    if (dream.over[0]) return this.reset();
    dream.tau = this.tau.value;
    const keys = new Set([...this.held, ...this.tapped]);
    this.tapped.clear();
    dream.step(world.drivers.controller, this.driver === "you" ? this.hands.act(keys) : null);
    this.past = [...this.past, { reward: dream.reward, end: dream.end }].slice(-SHOWN);
    this.show();
    if (dream.over[0]) this.end();
    return undefined;
  }

  /** So many steps at once, unseen. */
  ahead(steps) {
    for (let n = 0; n < steps && !this.dream.over[0]; n++) this.dream.step(this.world.drivers.controller);
    this.show();
  }

  end() {
    this.clock.stop();
    const { about } = this.world, { t, total } = this.dream;
    const got = about.reward ? ` and ${points(total[0])} points` : "", cut = t >= about.horizon ? " (there the game would be cut, too)" : "";
    this.say(`Over after ${points(t)} frames${got}${cut}.`);
    if (this.drove) this.compare(`You lasted ${points(t)} frames${got}${cut}.`);
  }

  /** Let the agent drive through the same dream: the same beginning, the same chance. A bit at a time, for the page stays alive. */
  compare(yours) {
    const { shadow, world } = this, mine = ++this.comparing;
    shadow.reset(this.start, this.seed);
    shadow.tau = this.dream.tau;
    const go = () => {
      if (mine !== this.comparing) return;
      for (let n = 0; n < 50 && !shadow.over[0]; n++) shadow.step(world.drivers.controller);
      if (!shadow.over[0]) { setTimeout(go); return; }
      const got = world.about.reward ? ` and ${points(shadow.total[0])} points` : "";
      this.say(`${yours} In this very dream, with the same chance, the agent lasts ${points(shadow.t)} frames${got}.`);
    };
    go();
  }

  say(text) { this.find(".said").textContent = text; }

  show() {
    const { dream, world } = this;
    this.screen.show(world.decoder.paint(dream.z));
    this.screen.dim(dream.over[0]);
    this.find(".frame").textContent = points(dream.t);
    this.find(".points").textContent = points(dream.total[0]);
    this.find(".speed").textContent = this.clock.rate ? this.clock.rate.toFixed(0) : "–";
    this.bars.forEach(({ bar, output, least, most }, a) => { // from zero, where there is a zero
      const share = (value) => (value - least) / (most - least), zero = share(Math.max(least, Math.min(most, 0))), at = share(dream.action[a]);
      bar.style.setProperty("--from", Math.min(zero, at));
      bar.style.setProperty("--to", Math.max(zero, at));
      output.textContent = dream.action[a].toFixed(2).replace("-", "−");
    });
    if (dream.t % 30 === 0 || !this.clock.running) this.screen.say(`the dream, frame ${dream.t}: ${world.about.actions.map(({ name }, a) => `${name} ${dream.action[a].toFixed(2)}`).join(", ")}`);
    this.strip.paint();
  }

  drawStrip(context, width, height, { line: grey, blue, orange }) {
    const x = (i) => (i / (SHOWN - 1)) * width, rewards = this.past.map((step) => step.reward);
    const high = Math.max(4, ...rewards), low = Math.min(-1, ...rewards), y = (value) => 3 + ((high - value) / (high - low)) * (height - 6);
    line(context, [0, 0], grey, (i) => i * width, () => (this.world?.about.reward ? y(0) : height - 3), { width: 1 });
    if (this.world?.about.reward) line(context, rewards, blue, x, y);
    line(context, this.past.map((step) => step.end), orange, x, (end) => height - 3 - end * (height - 6));
  }
}
