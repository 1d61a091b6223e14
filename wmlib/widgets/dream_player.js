// The dream player's screen. It asks the kernel for one step, draws what comes back, and only then asks
// for the next: a slow kernel never builds a queue, and a closed screen asks for nothing.

const BLUE = "#0072B2", ORANGE = "#E69F00", GREY = "#777777";
const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const SHOWN = 260; // steps in the strip

function make(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

function choice(label, options, onchange) {
  const select = make("select", { onchange: () => onchange(select.value) });
  for (const [value, text] of Object.entries(options)) select.append(make("option", { value }, text));
  return [make("label", {}, label, " ", select), select];
}

function number(label, properties, onchange) {
  const input = make("input", { ...properties, onchange: () => input.reportValidity() && onchange(+input.value) });
  return [make("label", {}, label, " ", input), input];
}

function render({ model, el }) {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  let playing = false, waiting = false, closed = false, lastAsk = 0, late = null;
  let queue = null; // one wish that came while we were waiting for an answer
  let past = {}; // of each world, its last steps
  let drawn = []; // times of the last pictures
  const pressed = new Set();

  // What there is to see and to press
  const play = make("button", { onclick: () => setPlaying(!playing), title: "space" }, "play");
  const step = make("button", { onclick: () => { setPlaying(false); askStep(); }, title: "." }, "step");
  const reset = make("button", { onclick: () => ask("reset"), title: "R" }, "reset");
  const eyes = make("button", {
    onclick: () => ask("close eyes"),
    title: "E: the dream goes on from what the game shows now",
  }, "close eyes here");
  const change = (name) => (value) => ask("change", { [name]: value });
  const [whereLabel, where] = choice("world", {
    dream: "the dream", game: "the game", both: "both, same actions",
  }, change("where"));
  const [driverLabel, driver] = choice("driver", { agent: "the agent", you: "you" }, (value) => {
    change("driver")(value);
    if (value === "you") stage.focus();
  });
  const [seedLabel, seed] = number("track", { type: "number", min: 0, step: 1 }, change("seed"));
  const [horizonLabel, horizon] = number("at most, frames", { type: "number", min: 1, max: 10000, step: 1 }, change("horizon"));
  const tauShown = make("output");
  const [tauLabel, tau] = number("temperature τ", { type: "range", min: 0.1, max: 2, step: 0.05 }, change("tau"));
  tau.oninput = () => { tauShown.value = (+tau.value).toFixed(2); };
  tauLabel.append(" ", tauShown);
  const stage = make("div", {
    className: "stage row", tabIndex: 0,
    aria: { label: "The screen. Arrow keys drive when you are the driver; space plays and pauses; full stop steps; R resets." },
  });
  stage.setAttribute("role", "group");
  stage.dataset.lmSuppressShortcuts = "true"; // JupyterLab keeps its own keys to itself here
  const keys = make("div", { className: "row keys" });
  for (const [name, sign, label] of [
    ["left", "←", "steer left"], ["up", "↑", "gas"], ["down", "↓", "brake"], ["right", "→", "steer right"],
  ]) keys.append(keyButton(name, sign, label));
  const strip = make("canvas", { width: 560, height: 110 });
  strip.setAttribute("role", "img");
  const counter = make("div", { className: "counter" });
  const status = make("div");
  status.setAttribute("role", "status");
  const box = make("div", { className: "wmlib-player" },
    make("div", { className: "row" }, play, step, reset, eyes, whereLabel, driverLabel),
    make("div", { className: "row" }, tauLabel, horizonLabel, seedLabel),
    stage, keys, counter, strip, status);
  el.append(box);

  function keyButton(name, sign, label) {
    const button = make("button", { aria: { label }, title: `hold to ${label}` }, sign);
    const hold = (on) => () => { on ? pressed.add(name) : pressed.delete(name); button.classList.toggle("held", on); };
    button.onpointerdown = (event) => { button.setPointerCapture(event.pointerId); hold(true)(); };
    button.onpointerup = button.onpointercancel = button.onblur = hold(false);
    button.onkeydown = (event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); hold(true)(); } };
    button.onkeyup = hold(false);
    return button;
  }

  stage.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const other = {
      " ": () => setPlaying(!playing), ".": () => step.click(), r: () => ask("reset"), e: () => eyes.hidden || ask("close eyes"),
    }[event.key.toLowerCase()];
    if (event.key in KEYS) pressed.add(KEYS[event.key]);
    else if (other && !event.repeat) other();
    else if (!other) return;
    event.preventDefault();
    event.stopPropagation();
  };
  stage.onkeyup = (event) => { if (event.key in KEYS) pressed.delete(KEYS[event.key]); };
  stage.onblur = () => pressed.clear();

  // Asking and drawing

  function ask(what, content = {}) {
    if (closed) return;
    if (waiting) { // the newest wish waits; a step is no wish, the next one comes by itself
      if (what !== "step") queue = [what, content];
      return;
    }
    waiting = true;
    lastAsk = performance.now();
    late = setTimeout(() => { counter.textContent = "waiting for the kernel: it is busy with a cell, or was stopped"; }, 2000);
    model.send({ from: id, ask: what, content });
  }

  function askStep() { ask("step", { keys: [...pressed] }); }

  function setPlaying(on) {
    playing = on;
    drawn = [];
    play.textContent = on ? "pause" : "play";
    say(on ? "playing" : "paused");
    if (on) askStep();
  }

  function say(text) { if (status.textContent !== text) status.textContent = text; }

  function answered(message, buffers) {
    if (message.to !== id || closed) return;
    waiting = false;
    clearTimeout(late);
    if (message.error) {
      setPlaying(false);
      say(message.error);
    } else {
      show(message, buffers);
    }
    if (queue) {
      const [what, content] = queue;
      queue = null;
      ask(what, content);
    } else if (playing) {
      const pause = Math.max(0, 1000 / model.get("limit") - (performance.now() - lastAsk));
      // Not while the page is hidden: then the browser calls no animation frame.
      setTimeout(() => requestAnimationFrame(() => {
        if (!box.isConnected) setPlaying(false);
        if (playing && !closed) askStep();
      }), pause);
    }
  }

  function show(view, buffers) {
    if (view.t === 0 || Object.keys(past).join() !== Object.keys(view.worlds).join()) {
      past = Object.fromEntries(Object.keys(view.worlds).map((name) => [name, []]));
      drawn = [];
    }
    const { settings } = view;
    where.value = settings.where;
    driver.value = settings.driver;
    seed.value = settings.seed;
    horizon.value = settings.horizon;
    tau.value = settings.tau;
    tauShown.value = settings.tau.toFixed(2);
    eyes.hidden = settings.where !== "both";
    tauLabel.hidden = settings.where === "game";
    keys.hidden = settings.driver !== "you";
    showPictures(view, buffers);
    for (const [name, world] of Object.entries(view.worlds)) {
      if (view.t > 0) past[name].push(world);
      past[name] = past[name].slice(-SHOWN);
    }
    drawn = [...drawn, performance.now()].slice(-20);
    drawStrip();
    showNumbers(view);
  }

  function showPictures(view, buffers) {
    const names = Object.keys(view.worlds);
    if (stage.dataset.worlds !== names.join()) {
      stage.dataset.worlds = names.join();
      stage.replaceChildren(...names.map((name) => {
        const picture = make("canvas", { className: "picture", width: 64, height: 64 });
        picture.setAttribute("role", "img");
        return make("figure", {}, make("figcaption", {}, view.worlds[name].name), picture);
      }));
    }
    names.forEach((name, i) => {
      const { buffer, byteOffset } = buffers[i];
      const pixels = new Uint8ClampedArray(buffer, byteOffset, 64 * 64 * 4);
      const picture = stage.children[i].querySelector("canvas");
      picture.getContext("2d").putImageData(new ImageData(pixels, 64, 64), 0, 0);
      picture.setAttribute("aria-label", `${view.worlds[name].name}, frame ${view.t}`);
      const total = view.worlds[name].total.toFixed(1);
      const promised = name === "dream" ? "promised" : "earned";
      stage.children[i].firstChild.textContent = `${view.worlds[name].name}: ${total} points ${promised}`;
    });
  }

  function showNumbers(view) {
    const parts = [`frame ${view.t}`];
    const span = (drawn.at(-1) - drawn[0]) / 1000;
    if (playing && drawn.length > 5) parts.push(`${((drawn.length - 1) / span).toFixed(0)} frames/s`);
    if (view.action) parts.push("steer {0}, gas {1}, brake {2}".replace(/\{(\d)\}/g, (_, i) => view.action[i].toFixed(2)));
    if (view.apart !== null) parts.push(`apart ${view.apart.toFixed(2)}`);
    counter.textContent = parts.join(" · ");
    if (view.over) {
      setPlaying(false);
      say(`over after ${view.t} frames`);
    } else if (view.parted !== null) {
      say(`the dream left the game at frame ${view.parted}`);
    } else if (view.t === 0) {
      say("ready");
    }
  }

  function drawStrip() {
    const context = strip.getContext("2d"), { width, height } = strip;
    const ink = getComputedStyle(box).color;
    context.clearRect(0, 0, width, height);
    context.font = "11px sans-serif";
    const left = 8, right = width - 8, top = 20, bottom = height - 8, zero = bottom - (bottom - top) / 5;
    const x = (i) => left + (i / (SHOWN - 1)) * (right - left);
    context.strokeStyle = GREY;
    context.globalAlpha = 0.5;
    context.strokeRect(left, top, right - left, bottom - top);
    context.beginPath(); context.moveTo(left, zero); context.lineTo(right, zero); context.stroke();
    context.globalAlpha = 1;
    const name = "dream" in past ? "dream" : "game", steps = past[name] ?? [];
    const line = (values, colour, y, dash = []) => {
      context.strokeStyle = colour; context.lineWidth = 1.5; context.setLineDash(dash); context.beginPath();
      values.forEach((value, i) => (i ? context.lineTo(x(i), y(value)) : context.moveTo(x(i), y(value))));
      context.stroke(); context.setLineDash([]); context.lineWidth = 1;
    };
    const points = (value) => zero - Math.max(-1, Math.min(4, value)) * ((zero - top) / 4);
    if ("game" in past) line(past.game.map((s) => s.reward), GREY, points);
    line(steps.map((s) => s.foreseen), BLUE, points);
    line(steps.map((s) => s.end), ORANGE, (value) => bottom - value * (bottom - top), [4, 2]);
    context.textBaseline = "middle";
    let at = left;
    const key = (colour, text) => {
      context.fillStyle = colour; context.fillRect(at, 6, 14, 4);
      context.fillStyle = ink; context.fillText(text, at + 18, 9);
      at += 30 + context.measureText(text).width;
    };
    key(BLUE, "reward that M foretells");
    if ("game" in past) key(GREY, "reward that the game pays");
    key(ORANGE, "probability of the end (0 to 1)");
    const last = steps.at(-1);
    strip.setAttribute("aria-label", last
      ? `reward foretold ${last.foreseen.toFixed(2)}, probability of the end ${last.end.toFixed(2)}`
      : "reward and probability of the end, no steps yet");
  }

  model.on("msg:custom", answered);
  ask("hello");
  return () => {
    closed = true;
    playing = false;
    clearTimeout(late);
    model.off("msg:custom", answered);
    model.send({ from: id, ask: "bye" });
  };
}

export default { render };
