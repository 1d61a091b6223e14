// C as a picture: its weights, what moves it now, and how it drives without a part of what it sees.

import { Dream } from "../world.js";
import { Clock, Drawing, Screen, key, make, points } from "../ui.js";

const WORDS = { z: "z, what V sees", h: "h, M's memory", c: "c, the memory's inner half" };

export class Look {
  constructor(section) {
    const find = (selector) => section.querySelector(selector);
    Object.assign(this, { section, find, seed: Math.floor(Math.random() * 2 ** 31), view: "weights" });
    this.sides = ["whole", "part"].map((name) => ({ name, screen: new Screen(find(`.${name}`)) }));
    this.clock = new Clock(section, () => this.step());
    this.clock.before = () => { if (this.sides.every(({ dream }) => dream.over[0])) this.reset(); };
    find(".reset").onclick = () => this.reset();
    section.querySelectorAll("[name=view]").forEach((input) => { input.onchange = () => { this.view = input.value; this.paint(); }; });
  }

  open(world) {
    this.clock.stop();
    this.world = world;
    const [driver] = world.about.drivers;
    for (const side of this.sides) Object.assign(side, { dream: new Dream(world.mdnrnn), controller: world.controller(driver) });
    const { controller } = this.sides[1], { parts } = controller, plain = controller.layers.length === 1;
    this.find(".count").textContent = points(controller.params.length);
    this.find(".view").hidden = !plain;
    key(this.find("p.key"), plain ? [["blue", "pushes the number up"], ["orange", "pushes it down"]] : []);
    this.drawings = plain ? world.about.actions.map(({ name }, a) => ({
      name,
      strips: parts.map(([part, first, length]) => new Drawing(make("canvas", { className: "cells" }, { role: "img", "aria-label": `weights from ${part} to ${name}` }), (...where) => this.cells(a, first, length, ...where))),
    })) : [];
    this.find(".weights").replaceChildren(...(plain ? [make("span"), ...parts.map(([part]) => make("span", { className: "quiet-text" }, {}, WORDS[part]))] : [make("p", {}, {}, "This C has a hidden layer, so no single weight leads from what it sees to what it does.")]), ...this.drawings.flatMap(({ name, strips }) => [make("span", {}, {}, name), ...strips.map(({ canvas }) => canvas)]));
    this.find(".weights").style.setProperty("--parts", parts.map(([, , length]) => `${Math.max(1, Math.round(length / 90))}fr`).join(" "));
    this.find(".parts").replaceChildren(this.find(".parts legend"), ...parts.map(([part]) => {
      const input = make("input", { type: "checkbox", checked: true, value: part });
      input.onchange = () => { controller.off[input.checked ? "delete" : "add"](part); this.reset(); if (!this.clock.running) this.clock.start(); };
      return make("label", {}, {}, input, ` ${WORDS[part]}`);
    }));
    this.reset();
  }

  reset() {
    this.seed = (this.seed + 1) % 2 ** 31;
    for (const { dream } of this.sides) dream.reset(this.world.start(this.seed), this.seed);
    this.show();
  }

  step() {
    for (const { dream, controller } of this.sides) if (!dream.over[0]) dream.step(controller);
    this.show();
    if (this.sides.every(({ dream }) => dream.over[0])) this.clock.stop();
  }

  show() {
    const { reward } = this.world.about, { controller, dream } = this.sides[1];
    for (const { name, dream: one, screen } of this.sides) {
      const off = name === "part" ? [...controller.off] : [], who = name === "whole" ? "the whole C" : off.length ? `without ${off.join(" and ")}` : "nothing switched off yet";
      screen.show(this.world.decoder.paint(one.z));
      screen.dim(one.over[0]);
      const text = `${who}: ${reward ? `${points(one.total[0])} points in ${points(one.t)} frames` : `${points(one.t)} frames`}${one.over[0] ? ", over" : ""}`;
      this.find(`.${name}-name`).textContent = text;
      if (one.t % 30 === 0) screen.say(text);
    }
    this.seen = controller.features(dream.z, dream.memory);
    if (this.view === "now" || dream.t === 0) this.paint();
  }

  paint() {
    const { controller } = this.sides[1], { A } = controller, count = controller.layers[0][0];
    if (!this.drawings.length) return;
    this.values = this.drawings.map((_, a) => Float64Array.from({ length: count }, (__, i) => controller.params[i * A + a] * (this.view === "now" ? this.seen[i] : 1)));
    this.largest = Math.max(...this.values.flatMap((row) => [...row].map(Math.abs))) || 1;
    this.drawings.forEach(({ strips }) => strips.forEach((strip) => strip.paint()));
    const text = this.view === "weights" ? "" : this.drawings.map(({ name }, a) => {
      const order = [...this.values[a].keys()].sort((i, j) => Math.abs(this.values[a][j]) - Math.abs(this.values[a][i])).slice(0, 3);
      return `${name} listens most to ${order.map((i) => this.nameOf(i)).join(", ")}`;
    }).join("; ");
    if (!this.clock.running) this.find(".said").textContent = text && `Now ${text}.`;
  }

  nameOf(i) {
    const [part, first] = this.sides[1].controller.parts.findLast(([, from]) => from <= i);
    return `${part}[${i - first}]`;
  }

  /** A number a cell: its colour says which way it pushes, its strength how hard. */
  cells(a, first, length, context, width, height, { blue, orange, card }) {
    if (!this.values) return;
    const rows = Math.max(1, Math.round(Math.sqrt((length * height) / width))), columns = Math.ceil(length / rows);
    context.fillStyle = card;
    context.fillRect(0, 0, width, height);
    for (let i = 0; i < length; i++) {
      const value = this.values[a][first + i] / this.largest, x = Math.floor(i / rows), y = i % rows;
      context.globalAlpha = Math.sqrt(Math.abs(value));
      context.fillStyle = value > 0 ? blue : orange;
      context.fillRect((x * width) / columns, (y * height) / rows, width / columns + 0.5, height / rows + 0.5);
    }
    context.globalAlpha = 1;
  }
}
