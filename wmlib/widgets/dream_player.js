// The dream player's screen. It asks the kernel for one step, draws what comes back, and only then asks
// for the next: a slow kernel never builds a queue, and a closed screen asks for nothing.

const BLUE = "#0072B2", ORANGE = "#D55E00", GREY = "#777777"; // seen on white and on black
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
  let turn = 0; // counts asks and answers: a timer that was set before the last one is out of date
  const wishes = []; // what was wished for while we were waiting for an answer
  let known = {}; // the settings, as the kernel last told them
  let past = {}, lastT = -1, over = false; // of each world, its last steps
  let silent = false, parting = ""; // no answer for long; what is to be said of the dream's parting
  let drawn = []; // times of the last pictures
  const typed = new Set(), pushed = new Set(); // keys that are held: on the keyboard, on the screen
  const tapped = new Set(); // keys touched since the last step: a short tap counts, too

  // What there is to see and to press
  const play = make("button", { onclick: () => setPlaying(!playing), title: "space" }, "play");
  const step = make("button", { onclick: () => { setPlaying(false); askStep(); }, title: "full stop" }, "step");
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
  const [seedLabel, seed] = number("seed", { type: "number", required: true, min: 0, max: 2147483647, step: 1 }, change("seed"));
  const [horizonLabel, horizon] = number("at most, frames", { type: "number", required: true, min: 1, max: 10000, step: 1 }, change("horizon"));
  const tauShown = make("span", { className: "number" });
  const [tauLabel, tau] = number("temperature τ", { type: "range", min: 0.1, max: 2, step: 0.05 }, change("tau"));
  tau.oninput = () => { tauShown.textContent = (+tau.value).toFixed(2); };
  tauLabel.append(" ", tauShown);
  const controls = { where, driver, seed, horizon, tau };
  const stage = make("div", {
    className: "stage row", tabIndex: 0,
    aria: { label: "The screen. Arrow keys drive when you are the driver; space plays and pauses; full stop steps; R resets." },
  });
  stage.setAttribute("role", "application"); // a screen reader passes the arrow keys on
  const keys = make("div", { className: "row keys" });
  for (const [name, sign, label] of model.get("buttons")) keys.append(keyButton(name, sign, label));
  const strip = make("canvas", { width: 560, height: 110 });
  strip.setAttribute("role", "img");
  const counter = make("div", { className: "counter" });
  const status = make("div");
  status.setAttribute("role", "status");
  const box = make("div", { className: "wmlib-player" },
    make("div", { className: "row" }, play, step, reset, eyes, whereLabel, driverLabel),
    make("div", { className: "row" }, tauLabel, horizonLabel, seedLabel),
    stage, keys, counter, strip, status);
  for (const control of box.querySelectorAll("button, select, input, .stage")) {
    control.dataset.lmSuppressShortcuts = "true"; // JupyterLab keeps its own keys to itself here
  }
  box.tabIndex = -1; // where a click on a button gives it no focus (Safari), the box takes it, and with it the arrow keys
  box.dataset.lmSuppressShortcuts = "true";
  el.append(box);

  function keyButton(name, sign, label) {
    const button = make("button", { aria: { label }, title: `hold to ${label}; while paused it counts for the next step` }, sign);
    button.dataset.key = name;
    const hold = (on) => () => { on ? (pushed.add(name), tapped.add(name)) : pushed.delete(name); showKeys(); };
    const presses = (event) => event.key === " " || event.key === "Enter";
    button.onpointerdown = (event) => {
      if (event.button !== 0 || event.ctrlKey) return; // it opens a menu, which swallows the release
      button.setPointerCapture(event.pointerId);
      hold(true)();
    };
    button.onpointerup = button.onpointercancel = button.onlostpointercapture = button.onblur = hold(false);
    button.onkeydown = (event) => { if (presses(event)) { event.preventDefault(); if (!event.repeat) hold(true)(); } };
    button.onkeyup = (event) => { if (presses(event)) hold(false)(); };
    button.onclick = (event) => { if (event.detail === 0) { tapped.add(name); showKeys(); } }; // a screen reader's press
    return button;
  }

  function showKeys() {
    for (const button of keys.children) {
      const on = typed.has(button.dataset.key) || pushed.has(button.dataset.key) || (!playing && tapped.has(button.dataset.key));
      button.classList.toggle("held", on);
    }
  }

  box.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const act = { ".": () => step.click(), r: () => ask("reset"), e: () => eyes.hidden || ask("close eyes") }[event.key.toLowerCase()];
    if (event.key in KEYS && driver.value === "you") {
      typed.add(KEYS[event.key]);
      if (!event.repeat) tapped.add(KEYS[event.key]); // a repeat that comes just before the release is no new tap
      showKeys();
    } else if (event.key === " " && (event.target === stage || event.target === box)) {
      if (!event.repeat) setPlaying(!playing);
    } else if (act) {
      if (!event.repeat) act();
    } else {
      return;
    }
    event.preventDefault();
  };
  box.onkeyup = (event) => { if (typed.delete(KEYS[event.key])) showKeys(); };
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget)) { typed.clear(); showKeys(); }
  });

  // Asking and drawing

  function ask(what, content = {}) {
    if (closed) return;
    if (waiting) {
      // Of two changes of one setting the newer one counts; a reset makes steps and resets before it moot.
      const [name] = Object.keys(content);
      const stays = ([w, c]) => (what === "change" ? w !== "change" || !(name in c) : what !== "reset" || w === "change");
      wishes.splice(0, wishes.length, ...wishes.filter(stays), [what, content]);
      return;
    }
    waiting = true;
    turn += 1;
    lastAsk = performance.now();
    clearTimeout(late);
    late = setTimeout(() => {
      silent = true;
      say("no answer from the kernel: it is busy with a cell, or was restarted (then run this cell again)");
    }, 3000);
    model.send({ from: id, ask: what, content });
  }

  function askStep() {
    if (waiting && playing) return; // the next one comes by itself
    const now = new Set([...typed, ...pushed, ...tapped]);
    tapped.clear();
    ask("step", { keys: [...now] });
    showKeys();
  }

  function setPlaying(on) {
    playing = on;
    drawn = [];
    play.textContent = on ? "pause" : "play";
    if (!silent) say(state());
    if (on && over) ask("reset");
    else if (on) askStep();
  }

  function state() {
    return [playing ? "playing" : lastT > 0 ? "paused" : "ready", parting].filter(Boolean).join("; ");
  }

  function say(text) { if (status.textContent !== text) status.textContent = text; }

  function answered(message, buffers) {
    if (message.to !== id || closed) return;
    waiting = false;
    const mine = ++turn;
    clearTimeout(late);
    silent = false;
    if (message.error) {
      wishes.length = 0; // they stood on what failed; and the next answer would wipe the message out
      setPlaying(false);
      if ("tau" in known) settle(known, true); // not if the very first answer is an error
      say(message.error);
    } else {
      show(message, buffers);
    }
    if (wishes.length) {
      ask(...wishes.shift());
    } else if (playing) {
      const next = () => { // the browser calls this before it draws; not at all while the page is hidden
        if (mine !== turn || closed) return;
        if (!box.isConnected) setPlaying(false);
        if (!playing) return;
        const waited = performance.now() - lastAsk;
        if (waited < 1000 / model.get("limit") - 4) requestAnimationFrame(next); // it calls every 16 ms or so
        else askStep();
      };
      requestAnimationFrame(next);
    }
  }

  function settle(settings, all = false) { // leaves alone what the reader may be changing just now
    for (const [name, control] of Object.entries(controls)) {
      const newer = wishes.some(([, content]) => name in content); // the reader was faster than the kernel
      if (!all && (newer || settings[name] === known[name])) continue;
      control.value = settings[name];
      if (name === "tau") tauShown.textContent = settings.tau.toFixed(2);
    }
    known = settings;
    eyes.hidden = settings.where !== "both";
    tauLabel.hidden = settings.where === "game";
    keys.hidden = settings.driver !== "you";
  }

  function show(view, buffers) {
    over = view.over;
    if (view.t < lastT || Object.keys(past).join() !== Object.keys(view.worlds).join()) {
      past = Object.fromEntries(Object.keys(view.worlds).map((name) => [name, []]));
      drawn = [];
    }
    settle(view.settings);
    showPictures(view, buffers);
    if (view.t === lastT + 1) { // a step, and not only a change
      for (const [name, world] of Object.entries(view.worlds)) past[name] = [...past[name], world].slice(-SHOWN);
      drawn = [...drawn, performance.now()].slice(-20);
    }
    lastT = view.t;
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
    if (view.action) parts.push(view.action.map((value, i) => `${model.get("numbers")[i]} ${value.toFixed(2)}`).join(", "));
    if (view.apart !== null) parts.push(`apart ${view.apart.toFixed(2)}`);
    if (view.parted !== null) parts.push(`parted at frame ${view.parted}`);
    counter.textContent = parts.join(" · ");
    parting = view.parted === null ? "" : `the dream left the game at frame ${view.parted}`;
    if (view.over && !wishes.some(([what]) => what === "reset")) {
      setPlaying(false);
      say([`over after ${view.t} frames`, parting].filter(Boolean).join("; "));
    } else {
      say(state());
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
    key(BLUE, "reward that M foretells (−1 to 4)");
    if ("game" in past) key(GREY, "reward that the game pays");
    key(ORANGE, "probability of the end (0 to 1)");
    const last = steps.at(-1);
    strip.setAttribute("aria-label", last
      ? `reward foretold ${last.foreseen.toFixed(2)}, probability of the end ${last.end.toFixed(2)}`
      : "reward and probability of the end, no steps yet");
  }

  function leave() {
    if (closed) return;
    closed = true;
    playing = false;
    clearTimeout(late);
    removeEventListener("pagehide", leave);
    model.off("msg:custom", answered);
    model.send({ from: id, ask: "bye" });
  }

  model.on("msg:custom", answered);
  addEventListener("pagehide", leave); // a page that is reloaded or closed
  ask("hello");
  return leave;
}

export default { render };
