// A world model that runs in a page: V sees and paints, M remembers and foretells, C acts; and the dream, which is M alone.
//
// The equations are those of notebooks 02 to 05, under the same names. All that takes time is one matrix product:
// kernel.wasm does it, or `plainProduct` below where a browser has no WebAssembly. Pictures are (64, 64, 3), row by row.

// ---- Files: safetensors, as Python wrote them ----

/** A file that is missing, damaged or not ours. The message says which one and what helps. */
export class FileError extends Error {}

const HALVES = (() => { // the 65,536 numbers of half precision
  const numbers = new Float32Array(65536), bits = new Uint32Array(numbers.buffer);
  for (let half = 0; half < 65536; half++) {
    bits[half] = (half & 0x7fff) << 13; // exponent and fraction, with the exponent's zero elsewhere
    numbers[half] *= (half & 0x8000 ? -1 : 1) * ((half & 0x7c00) === 0x7c00 ? NaN : 2 ** 112); // the largest exponent means infinite, or no number
  }
  return numbers;
})();
const READERS = {
  F16: (bytes) => {
    const halves = new Uint16Array(bytes), numbers = new Float32Array(halves.length);
    for (let i = 0; i < halves.length; i++) numbers[i] = HALVES[halves[i]];
    return numbers;
  },
  F32: (bytes) => new Float32Array(bytes),
};
const BYTES = { F16: 2, F32: 4 };

function areFinite(numbers) {
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}

/** The tensors {name: {shape, data}} in a file's bytes, and what the file says about itself. */
export function parseTensors(buffer, name) {
  const damaged = (why) => new FileError(`${name} is damaged (${why}). Make it again: python -m wmlib export-web`);
  if (buffer.byteLength < 8) throw damaged("it is too short");
  const size = Number(new DataView(buffer).getBigUint64(0, true)), begin = 8 + size;
  if (begin > buffer.byteLength) throw damaged("its header is cut off");
  let header, about;
  try {
    const { __metadata__: meta, ...rest } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, size)));
    header = rest;
    about = JSON.parse(meta.about);
  } catch {
    throw damaged("its header can't be read");
  }
  const tensors = {};
  for (const [key, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (!(dtype in READERS) || to - from !== count * BYTES[dtype] || begin + to > buffer.byteLength) throw damaged(`${key} is not whole`);
    tensors[key] = { shape, data: READERS[dtype](buffer.slice(begin + from, begin + to)) };
    if (!areFinite(tensors[key].data)) throw damaged(`${key} holds what is no number`);
  }
  return { tensors, about };
}

/** The bytes at an address. */
export async function fetchBytes(url, options) {
  let answer;
  try {
    answer = await fetch(url, options);
    if (answer.ok) return await answer.arrayBuffer();
  } catch (error) {
    throw new FileError(`${url} can't be loaded (${error.message}). Is the server still there?`);
  }
  throw new FileError(`${url} is missing (the server says ${answer.status}). Make it with: python -m wmlib export-web`);
}

// ---- The engine: memory, and the one product ----

const PANEL = 16; // columns of a matrix that lie side by side, as kernel.wat wants them

export class Engine {
  /** wasm: bytes of kernel.wasm, or null for plain JavaScript. megabytes: of memory; it never grows, for that would move it. */
  constructor(wasm, megabytes = 64) {
    this.refused = wasm ? "" : "not asked for";
    try {
      if (wasm) {
        this.memory = new WebAssembly.Memory({ initial: Math.ceil(megabytes * 16) });
        this.kernel = new WebAssembly.Instance(new WebAssembly.Module(wasm), { js: { memory: this.memory } }).exports.product;
      }
    } catch (error) { // none here, none allowed, or without instructions for four numbers at once
      this.refused = error.message;
      this.memory = null;
    }
    this.top = 64;
  }

  /** n zeros that the kernel can reach. */
  floats(n) {
    if (!this.memory) return new Float32Array(n);
    const at = this.top;
    this.top += Math.ceil(n / 4) * 16;
    return new Float32Array(this.memory.buffer, at, n);
  }
}

/** y = W x + b, for many x at once. Rows of y are `width` numbers apart; those beyond `outputs` are zero. */
export class Linear {
  constructor(engine, outputs, inputs, weight, bias = () => 0) {
    const width = Math.ceil(outputs / PANEL) * PANEL;
    Object.assign(this, { engine, inputs, width, W: engine.floats(width * inputs), b: engine.floats(width) });
    for (let row = 0; row < outputs; row++) {
      const at = Math.floor(row / PANEL) * inputs * PANEL + (row % PANEL);
      for (let column = 0; column < inputs; column++) this.W[at + column * PANEL] = weight(row, column);
      this.b[row] = bias(row);
    }
  }

  /** x: (m, inputs). y: (m, width). Both by `engine.floats`. */
  run(x, y, m = 1) {
    const { W, b, inputs, width, engine: { kernel } } = this;
    if (kernel) kernel(x.byteOffset, W.byteOffset, b.byteOffset, y.byteOffset, m, inputs, width);
    else plainProduct(x, W, b, y, m, inputs, width);
  }
}

/** What kernel.wat does, for browsers without it: 4 columns and 4 rows at a time, whose sums stay in registers. */
export function plainProduct(x, W, b, y, m, k, n) {
  for (let j = 0; j < n; j += 4) {
    const first = Math.floor(j / PANEL) * k * PANEL + (j % PANEL);
    const b0 = b[j], b1 = b[j + 1], b2 = b[j + 2], b3 = b[j + 3];
    let i = 0;
    for (; i + 3 < m; i += 4) {
      let r0 = b0, r1 = b1, r2 = b2, r3 = b3, s0 = b0, s1 = b1, s2 = b2, s3 = b3;
      let t0 = b0, t1 = b1, t2 = b2, t3 = b3, u0 = b0, u1 = b1, u2 = b2, u3 = b3;
      for (let p = i * k, w = first; p < (i + 1) * k; p++, w += PANEL) {
        const w0 = W[w], w1 = W[w + 1], w2 = W[w + 2], w3 = W[w + 3];
        const r = x[p], s = x[p + k], t = x[p + 2 * k], u = x[p + 3 * k];
        r0 += r * w0; r1 += r * w1; r2 += r * w2; r3 += r * w3;
        s0 += s * w0; s1 += s * w1; s2 += s * w2; s3 += s * w3;
        t0 += t * w0; t1 += t * w1; t2 += t * w2; t3 += t * w3;
        u0 += u * w0; u1 += u * w1; u2 += u * w2; u3 += u * w3;
      }
      const o = i * n + j;
      y[o] = r0; y[o + 1] = r1; y[o + 2] = r2; y[o + 3] = r3;
      y[o + n] = s0; y[o + n + 1] = s1; y[o + n + 2] = s2; y[o + n + 3] = s3;
      y[o + 2 * n] = t0; y[o + 2 * n + 1] = t1; y[o + 2 * n + 2] = t2; y[o + 2 * n + 3] = t3;
      y[o + 3 * n] = u0; y[o + 3 * n + 1] = u1; y[o + 3 * n + 2] = u2; y[o + 3 * n + 3] = u3;
    }
    for (; i < m; i++) {
      let r0 = b0, r1 = b1, r2 = b2, r3 = b3;
      for (let p = i * k, w = first; p < (i + 1) * k; p++, w += PANEL) {
        r0 += x[p] * W[w]; r1 += x[p] * W[w + 1]; r2 += x[p] * W[w + 2]; r3 += x[p] * W[w + 3];
      }
      const o = i * n + j;
      y[o] = r0; y[o + 1] = r1; y[o + 2] = r2; y[o + 3] = r3;
    }
  }
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
function relu(x) { for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0; }

// ---- V: compresses a frame to z, and paints a frame from z (notebook 02) ----

/** z -> picture. `from_z` and the first layer have no bend between them: the exporter made them one map. */
export class Decoder {
  constructor(engine, tensors) {
    const { data: W, shape: [first, Z] } = tensors["decoder.first.weight"], b = tensors["decoder.first.bias"].data;
    this.Z = Z;
    this.z = engine.floats(Z);
    this.first = new Linear(engine, first, Z, (row, column) => W[row * Z + column], (row) => b[row]);
    this.seed = engine.floats(this.first.width); // (5, 5, 128)
    let size = 5;
    this.layers = [2, 4, 6].map((number) => {
      // A transposed convolution: each place stamps a patch of k x k x D numbers; where patches overlap, they add up.
      const { data: w, shape: [C, D, k] } = tensors[`decoder.${number}.weight`], bias = tensors[`decoder.${number}.bias`].data;
      const linear = new Linear(engine, k * k * D, C, (row, c) => w[(c * D + (row % D)) * k * k + Math.floor(row / D)]);
      const larger = 2 * (size - 1) + k;
      const layer = { linear, bias, D, k, size, larger, patches: engine.floats(size * size * linear.width), image: engine.floats(larger * larger * D) };
      size = larger;
      return layer;
    });
    this.pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  }

  /** z: Z numbers from `at` on. Returns (64, 64, 3) in [0, 1]; the next call writes there again. */
  decode(z, at = 0) {
    for (let i = 0; i < this.Z; i++) this.z[i] = z[at + i];
    this.first.run(this.z, this.seed);
    let x = this.seed;
    for (const { linear, bias, D, k, size, larger, patches, image } of this.layers) {
      relu(x);
      linear.run(x, patches, size * size);
      for (let o = 0; o < image.length;) for (let d = 0; d < D; d++) image[o++] = bias[d];
      for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
        let from = (i * size + j) * linear.width;
        for (let u = 0; u < k; u++) {
          const to = ((2 * i + u) * larger + 2 * j) * D;
          for (let v = 0; v < k * D; v++) image[to + v] += patches[from++];
        }
      }
      x = image;
    }
    for (let i = 0; i < x.length; i++) x[i] = sigmoid(x[i]);
    return x;
  }

  /** The same as what a canvas takes, (64, 64, 4) of 0 to 255. */
  paint(z, at = 0) {
    const x = this.decode(z, at), { pixels } = this;
    for (let i = 0, o = 0; i < x.length; o += 4) for (let d = 0; d < 3; d++) pixels[o + d] = 255 * x[i++];
    return pixels;
  }
}

/** Picture -> mu and logvar: z ~ N(mu, sigma^2). */
export class Encoder {
  constructor(engine, tensors) {
    let size = 64;
    this.image = engine.floats(size * size * 3);
    this.layers = [0, 2, 4, 6].map((number) => {
      const { data: w, shape: [D, C, k] } = tensors[`encoder.${number}.weight`], bias = tensors[`encoder.${number}.bias`].data;
      const smaller = Math.floor((size - k) / 2) + 1;
      const linear = new Linear(engine, D, k * k * C, (d, q) => w[(d * C + (q % C)) * k * k + Math.floor(q / C)], (d) => bias[d]);
      const places = smaller * smaller;
      const layer = { linear, C, k, size, smaller, patches: engine.floats(places * k * k * C), out: engine.floats(places * linear.width) };
      size = smaller;
      return layer;
    });
    const [Z, F] = tensors["to_mu.weight"].shape, D = F / 4; // the features lie as (2, 2, D) here, as (D, 2, 2) there
    const of = (row, what) => tensors[(row < Z ? "to_mu." : "to_logvar.") + what].data;
    this.Z = Z;
    this.head = new Linear(engine, 2 * Z, F, (row, q) => of(row, "weight")[(row % Z) * F + (q % D) * 4 + Math.floor(q / D)], (row) => of(row, "bias")[row % Z]);
    this.out = engine.floats(this.head.width);
  }

  /** image: (64, 64, 3) in [0, 1]. */
  encode(image) {
    this.image.set(image);
    let x = this.image;
    for (const { linear, C, k, size, smaller, patches, out } of this.layers) {
      for (let i = 0, o = 0; i < smaller; i++) for (let j = 0; j < smaller; j++) for (let u = 0; u < k; u++) {
        const from = ((2 * i + u) * size + 2 * j) * C;
        for (let v = 0; v < k * C; v++) patches[o++] = x[from + v];
      }
      linear.run(patches, out, smaller * smaller);
      relu(out);
      x = out;
    }
    this.head.run(x, this.out);
    return { mu: this.out.slice(0, this.Z), logvar: this.out.slice(this.Z, 2 * this.Z) };
  }
}

// ---- M: an LSTM that foretells the next z as a mixture (notebook 03) ----

export class MDNRNN {
  constructor(engine, tensors, about) {
    const { z: Z, h: H, mixtures: K } = about, A = about.actions.length, inputs = Z + A + about.fresh;
    const T = (name) => tensors[name].data;
    const ih = T("lstm.weight_ih_l0"), hh = T("lstm.weight_hh_l0"), bi = T("lstm.bias_ih_l0"), bh = T("lstm.bias_hh_l0");
    const outputs = 3 * Z * K + about.reward + about.done, weight = T("head.weight"), bias = T("head.bias");
    Object.assign(this, { engine, about, Z, H, K, A, inputs });
    this.lstm = new Linear(engine, 4 * H, inputs + H, (row, q) => (q < inputs ? ih[row * inputs + q] : hh[row * H + q - inputs]), (row) => bi[row] + bh[row]);
    this.head = new Linear(engine, outputs, H, (row, q) => weight[row * H + q], (row) => bias[row]);
  }

  /** M's memory h and c for so many dreams, and room for what it says. */
  memory(lanes = 1) {
    const { engine, inputs, H, lstm, head } = this, floats = (n) => engine.floats(lanes * n);
    return { lanes, x: floats(inputs + H), gates: floats(lstm.width), h: floats(H), c: floats(H), said: floats(head.width) };
  }

  /** From t to t + 1: h and c are then the next ones, and `said` what M says of the next step. z: (lanes, Z). action: (lanes, A). */
  step({ lanes, x, gates, h, c, said }, z, action, fresh) {
    const { Z, H, A, inputs, about } = this;
    for (let l = 0; l < lanes; l++) {
      let o = l * (inputs + H);
      for (let i = 0; i < Z; i++) x[o++] = z[l * Z + i];
      for (let i = 0; i < A; i++) x[o++] = action[l * A + i];
      if (about.fresh) x[o++] = fresh ? 1 : 0;
      for (let i = 0; i < H; i++) x[o++] = h[l * H + i];
    }
    this.lstm.run(x, gates, lanes);
    for (let l = 0; l < lanes; l++) for (let n = 0; n < H; n++) {
      const at = l * 4 * H + n, s = l * H + n;
      const i = sigmoid(gates[at]), f = sigmoid(gates[at + H]), g = Math.tanh(gates[at + 2 * H]), o = sigmoid(gates[at + 3 * H]);
      c[s] = f * c[s] + i * g;
      h[s] = o * Math.tanh(c[s]);
    }
    this.head.run(h, said, lanes);
  }

  /** What M says of element i of the next z, at temperature tau: weights pi, means mu and widths sigma of its K Gaussians. */
  mixture({ said }, i, tau = 1, lane = 0) {
    const { Z, K, head } = this, at = lane * head.width + i * K, logits = [...said.subarray(at, at + K)];
    const top = Math.max(...logits), weights = logits.map((x) => Math.exp((x - top) / tau)), sum = weights.reduce((a, b) => a + b);
    return {
      pi: weights.map((x) => x / sum),
      mu: [...said.subarray(at + Z * K, at + Z * K + K)],
      sigma: [...said.subarray(at + 2 * Z * K, at + 2 * Z * K + K)].map((x) => Math.exp(Math.min(7, Math.max(-7, x))) * Math.sqrt(tau)),
    };
  }

  /** Draw the next z of a lane. uniform, normal: Z numbers of chance each. Writes to z, (lanes, Z). */
  sample({ said }, tau, uniform, normal, z, lane = 0) {
    const { Z, K, head } = this, root = Math.sqrt(tau), weights = new Float64Array(K);
    for (let i = 0; i < Z; i++) {
      const at = lane * head.width + i * K;
      let top = -Infinity, sum = 0, k = 0;
      for (let q = 0; q < K; q++) top = Math.max(top, said[at + q]);
      for (let q = 0; q < K; q++) sum += weights[q] = Math.exp((said[at + q] - top) / tau);
      for (let mark = uniform[i] * sum; k < K - 1 && mark > weights[k]; k++) mark -= weights[k];
      const logsigma = Math.min(7, Math.max(-7, said[at + 2 * Z * K + k]));
      z[lane * Z + i] = said[at + Z * K + k] + Math.exp(logsigma) * root * normal[i];
    }
  }

  /** The step's reward as M foretells it, and the logit of the end. Where the task has no rewards, to survive counts 1. */
  foretold({ said }, lane = 0) {
    const { Z, K, head, about } = this, at = lane * head.width + 3 * Z * K;
    return { reward: about.reward ? said[at] : 1, logit: about.done ? said[at + (about.reward ? 1 : 0)] : -Infinity };
  }
}

// ---- C: a linear map from what V and M know to an action (notebook 04) ----

export class Controller {
  /** driver: of world.safetensors, its layers and bias. params: all weights and biases, one layer after the other. */
  constructor(about, driver, params, table) {
    Object.assign(this, { about, params, layers: driver.layers, bias: driver.bias, table, A: about.actions.length });
    this.off = new Set(); // parts of what it sees that are switched off: "z", "h", "c"
  }

  /** The parts of what C sees, in their order: [name, first, length]. A C that looks at z alone has one. */
  get parts() {
    const { about } = this, parts = [];
    let first = 0;
    for (const name of about.features) {
      const length = name === "z" ? about.z : about.h;
      if (first < this.layers[0][0]) parts.push([name, first, length]);
      first += length;
    }
    return parts;
  }

  /** What C sees of a lane: z and h, or z, c and h, one after the other. */
  features(z, { h, c }, lane = 0) {
    const from = { z, h, c }, x = new Float64Array(this.layers[0][0]);
    for (const [name, first, length] of this.parts) {
      if (!this.off.has(name)) for (let i = 0; i < length; i++) x[first + i] = from[name][lane * length + i];
    }
    return x;
  }

  /** Features to an action (A,), in the game's units. */
  act(features) {
    let x = features, at = 0;
    this.layers.forEach(([inputs, outputs], number) => {
      if (number) x = x.map(Math.tanh);
      const y = new Float64Array(outputs);
      for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) y[o] += x[i] * this.params[at++];
      if (this.bias) for (let o = 0; o < outputs; o++) y[o] += this.params[at++];
      x = y;
    });
    const { turn } = this.about;
    if (turn === "choice") return x.map((_, a) => +(a === x.indexOf(Math.max(...x)))); // the largest wins
    if (turn === "switches") return x.map((raw) => +(raw > 0));
    return x.map((raw, a) => this.toAction(Math.tanh(raw), a));
  }

  /** tanh of a raw output to the game's range, by the task's own table. */
  toAction(u, a) {
    const points = this.table.length / this.A, place = ((u + 1) / 2) * (points - 1), low = Math.min(points - 2, Math.floor(place)), at = a * points + low;
    return this.table[at] + (place - low) * (this.table[at + 1] - this.table[at]);
  }
}

/** Held keys to actions: each number moves towards where the keys lead, by so much a frame at most. */
export class Hands {
  constructor({ keys, hands: { goals, rates } }) {
    Object.assign(this, { names: keys.map(({ name }) => name), goals, rates, at: [...goals[0]] });
  }

  /** keys: a set of held ones. Returns the action of this frame. */
  act(keys) {
    const goal = this.goals[this.names.reduce((sum, name, i) => sum + (keys.has(name) ? 2 ** i : 0), 0)];
    this.at = this.at.map((now, a) => now + Math.max(-this.rates[a], Math.min(this.rates[a], goal[a] - now)));
    return this.at;
  }
}

// ---- The dream: M's imagination, as a world like the game (notebook 05) ----

/** Chance that follows from a seed. */
export class Luck {
  constructor(seed) { this.state = seed >>> 0; }

  uniform() { // in [0, 1): a counter, well mixed
    let x = (this.state = (this.state + 0x9e3779b9) >>> 0);
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  }

  normal() { return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform()); }
}

export class Dream {
  constructor(mdnrnn, lanes = 1) {
    const { Z, A } = mdnrnn;
    Object.assign(this, { mdnrnn, lanes, memory: mdnrnn.memory(lanes), tau: 1, z: new Float32Array(lanes * Z), action: new Float64Array(lanes * A) });
    this.uniform = new Float32Array(Z);
    this.normal = new Float32Array(Z);
  }

  /** Begin at z, with nothing remembered; or with the memory, and at the time, of another dream's lane 0. */
  reset(z, seed = 0, from = null) {
    const { lanes, memory, mdnrnn: { Z, H } } = this;
    for (let l = 0; l < lanes; l++) {
      this.z.set(z.subarray(0, Z), l * Z);
      for (const part of ["h", "c"]) {
        if (from) memory[part].set(from.memory[part].subarray(0, H), l * H);
        else memory[part].fill(0, l * H, l * H + H);
      }
    }
    this.t = from ? from.t : 0;
    this.luck = Array.from({ length: lanes }, (_, l) => new Luck(seed + 7919 * l));
    this.over = new Array(lanes).fill(false);
    this.total = new Float64Array(lanes);
    this.ended = new Int32Array(lanes).fill(-1);
    this.reward = 0;
    this.end = 0;
  }

  /** One step: C acts in each lane, or all take `action`. uniform, normal: this step's chance (Z,), else by the dream's own luck. */
  step(controller, action = null, uniform = null, normal = null) {
    const { mdnrnn, memory, lanes, z } = this, { A, Z, about } = mdnrnn;
    for (let l = 0; l < lanes; l++) {
      const chosen = action ?? controller.act(controller.features(z, memory, l));
      for (let a = 0; a < A; a++) this.action[l * A + a] = chosen[a];
    }
    mdnrnn.step(memory, z, this.action, this.t === 0);
    this.t++;
    for (let l = 0; l < lanes; l++) {
      if (!uniform) for (let i = 0; i < Z; i++) { this.uniform[i] = this.luck[l].uniform(); this.normal[i] = this.luck[l].normal(); }
      if (this.over[l]) continue;
      mdnrnn.sample(memory, this.tau, uniform ?? this.uniform, normal ?? this.normal, z, l);
      const { reward, logit } = mdnrnn.foretold(memory, l);
      this.total[l] += reward;
      if (l === 0) { this.reward = reward; this.end = sigmoid(logit); }
      if (logit > 0 || this.t >= about.horizon) { // M holds the end for likelier than not, or the game would be cut here
        this.over[l] = true;
        this.ended[l] = this.t;
      }
    }
  }
}

/** Everything of one game: V, M, its controllers, and where dreams begin. */
export class World {
  constructor(engine, { tensors, about }, name) {
    if (about.format !== 1) throw new FileError(`${name} was made for another version of this page. Make it again: python -m wmlib export-web`);
    const needed = ["decoder.first.weight", "lstm.weight_hh_l0", "head.weight", "to_action", "starts.mu", "starts.logvar", "activity", ...(about.drivers ?? []).map((d) => `C.${d.file}`)];
    for (const key of needed) if (!(key in tensors)) throw new FileError(`${name} lacks ${key}. Make it again: python -m wmlib export-web`);
    Object.assign(this, { engine, about, tensors, decoder: new Decoder(engine, tensors), mdnrnn: new MDNRNN(engine, tensors, about) });
    this.drivers = Object.fromEntries(about.drivers.map((driver) => [driver.file, this.controller(driver)]));
    this.activity = tensors.activity.data;
    this.order = Array.from(this.activity.keys()).sort((a, b) => this.activity[b] - this.activity[a]);
  }

  controller(driver) { return new Controller(this.about, driver, this.tensors[`C.${driver.file}`].data, this.tensors.to_action.data); }

  /** Where the dream of this seed begins: z ~ N(mu, sigma^2) of a recorded first frame. */
  start(seed) {
    const { shape: [n, Z], data: mu } = this.tensors["starts.mu"], logvar = this.tensors["starts.logvar"].data, luck = new Luck(seed ^ 0x5bd1e995);
    const row = Math.floor(luck.uniform() * n) * Z;
    return Float32Array.from({ length: Z }, (_, i) => mu[row + i] + Math.exp(logvar[row + i] / 2) * luck.normal());
  }
}

/** The memory that a game's files take, with room for sixteen dreams: megabytes. */
export function megabytesFor(...buffers) { return 24 + (2.4 * buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0)) / 2 ** 20; }
