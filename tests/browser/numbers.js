// What the tests ask of world.js, as functions of plain numbers. It is served beside the page.

import * as wm from "./world.js";

const differ = (a, b) => Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));

async function open(game, wasm = true) {
  const file = (name) => `data/${game}/${name}.safetensors`;
  const [kernel, bytes, eyes] = await Promise.all([wm.fetchBytes("kernel.wasm"), wm.fetchBytes(file("world")), wm.fetchBytes(file("eyes"))]);
  const engine = new wm.Engine(wasm ? kernel : null, wm.megabytesFor(bytes, eyes));
  return { engine, world: new wm.World(engine, wm.parseTensors(bytes, "world"), "world"), eyes: wm.parseTensors(eyes, "eyes") };
}

/** The largest differences from what torch made of the same numbers. */
async function against({ game, uniform, normal, start, z, action, foretold, picture, frame, mu, logvar }) {
  const { engine, world, eyes } = await open(game), dream = new wm.Dream(world.mdnrnn), off = { z: 0, action: 0, foretold: 0 };
  dream.reset(Float32Array.from(start));
  uniform.forEach((_, t) => {
    dream.over[0] = false; // torch goes on, too
    dream.step(world.drivers.controller, null, uniform[t], normal[t]);
    const { reward, logit } = world.mdnrnn.foretold(dream.memory), said = [...(world.about.reward ? [reward] : []), ...(world.about.done ? [logit] : [])];
    for (const [name, ours, theirs] of [["z", dream.z, z[t]], ["action", dream.action, action[t]], ["foretold", said, foretold[t]]]) off[name] = Math.max(off[name], differ(ours, theirs));
  });
  const encoder = new wm.Encoder(engine, eyes.tensors), seen = encoder.encode(Float32Array.from(frame));
  return { ...off, picture: differ(world.decoder.decode(dream.z), picture), mu: differ(seen.mu, mu), logvar: differ(seen.logvar, logvar), kernel: engine.kernel !== undefined };
}

/** How far the kernel is from plain JavaScript, for each (m, k, n). */
async function products(shapes) {
  const kernel = await wm.fetchBytes("kernel.wasm"), luck = new wm.Luck(1);
  return shapes.map(([m, k, n]) => {
    const [fast, plain] = [new wm.Engine(kernel, 8), new wm.Engine(null)].map((engine) => {
      const chance = new wm.Luck(m * k * n), linear = new wm.Linear(engine, n, k, () => chance.normal(), () => chance.normal());
      const x = engine.floats(m * k).map(() => chance.normal()), y = engine.floats(m * linear.width), own = engine.floats(m * k);
      own.set(x);
      linear.run(own, y, m);
      return y;
    });
    return differ(fast, plain) + (fast.some((value) => value !== 0) ? 0 : luck.uniform() + 1);
  });
}

/** The milliseconds of a frame, step and picture, at the best of some tries: others may keep the machine busy. */
async function milliseconds(game, wasm) {
  const { world } = await open(game, wasm), dream = new wm.Dream(world.mdnrnn), tries = [];
  dream.reset(world.start(1), 1);
  for (let n = 0; n < 12; n++) {
    const began = performance.now();
    for (let t = 0; t < 5; t++) {
      dream.step(world.drivers.controller);
      world.decoder.paint(dream.z);
    }
    tries.push((performance.now() - began) / 5);
  }
  return Math.min(...tries);
}

/** Actions of a controller of any shape. */
function acts(about, driver, params, table, features) {
  const controller = new wm.Controller(about, driver, Float32Array.from(params), Float32Array.from(table));
  return features.map((seen) => [...controller.act(Float64Array.from(seen.slice(0, driver.layers[0][0])))]);
}

/** What hands make of held keys, frame by frame. */
async function hands(game, held) {
  const { world } = await open(game), ours = new wm.Hands(world.about);
  return held.map((keys) => [...ours.act(new Set(keys))]);
}

Object.assign(globalThis, { against, products, milliseconds, acts, hands });
