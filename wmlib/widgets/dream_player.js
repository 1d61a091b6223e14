// The dream player's screen. It asks the kernel for one step, draws what comes back, and only then asks
// for the next: a slow kernel never builds a queue, and a closed screen asks for nothing.

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
const SHOWN = 260; // steps in the strip

function make(tag, properties = {}, ...children) {
  const { aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

function choice(label, options, onchange) { // one of a few, all of them in sight
  const name = crypto.randomUUID?.() ?? String(Math.random());
  const radios = Object.keys(options).map((value) => make("input", { type: "radio", name, value, onchange: () => onchange(value) }));
  const group = make("fieldset", { className: "choice" }, make("legend", {}, label),
    ...radios.map((radio) => make("label", {}, radio, make("span", {}, options[radio.value]))));
  return [group, {
    get value() { return radios.find((radio) => radio.checked)?.value; },
    set value(value) { for (const radio of radios) radio.checked = radio.value === value; },
  }];
}

function number(label, properties, onchange) {
  const input = make("input", { ...properties, onchange: () => input.reportValidity() && onchange(+input.value) });
  return [make("label", { className: "setting" }, label, " ", input), input];
}

const SVG = "http://www.w3.org/2000/svg";

// Values over the last steps, on a scale of their own. lines: [the key's colour, what it is] by name.
function chart(title, lines) {
  const paths = {}, keys = {};
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${SHOWN - 1} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  const path = (kind) => {
    const element = document.createElementNS(SVG, "path");
    element.setAttribute("class", kind);
    svg.append(element);
    return element;
  };
  const grid = path("grid");
  for (const [name, [kind, text]] of Object.entries(lines)) {
    paths[name] = path(kind);
    keys[name] = make("span", {}, make("i", { className: `key ${kind}` }), text);
  }
  const ticks = make("div", { className: "axis ticks" });
  const box = make("div", { className: "wmlib-chart" },
    make("div", { className: "legend" }, make("b", {}, title), ...Object.values(keys)),
    make("div", { className: "plot" }, svg, ticks));
  box.setAttribute("role", "img");
  let shown = "";

  // values: by name, null where there is none. marks: on the scale, each with its text.
  function draw(values, low, high, marks, says) {
    const y = (value) => ((high - Math.max(low, Math.min(high, value))) / (high - low)).toFixed(4);
    for (const [name, element] of Object.entries(paths)) {
      keys[name].hidden = !values[name];
      element.setAttribute("d", (values[name] ?? []).map((value, i) => `${i ? "L" : "M"}${i} ${y(value)}`).join(""));
    }
    if (shown !== (shown = JSON.stringify([low, high, marks]))) {
      grid.setAttribute("d", marks.map(([value]) => `M0 ${y(value)}H${SHOWN - 1}`).join(""));
      ticks.replaceChildren(...marks.map(([value, text]) => {
        const tick = make("span", {}, text);
        tick.style.top = `${100 * y(value)}%`;
        return tick;
      }));
    }
    box.setAttribute("aria-label", says);
  }
  return { box, draw };
}

function meter(name, low, high) { // one number of an action
  const bar = make("i"), said = make("span", { className: "value" }, "–");
  const share = (value) => 100 * Math.max(0, Math.min(1, (value - low) / (high - low)));
  const zero = share(0);
  const track = make("span", { className: "track" }, bar);
  const row = make("div", { className: "meter" }, make("span", {}, name), track, said);
  row.dataset.name = name;
  track.style.setProperty("--zero", `${zero}%`);
  return [row, (value) => { // null: no action led here
    said.textContent = value === null ? "–" : value.toFixed(2).replace("-", "−");
    const to = share(value ?? 0);
    bar.style.left = `${Math.min(zero, to)}%`;
    bar.style.width = `${Math.abs(to - zero)}%`;
  }];
}

function keyed(key, text) { return make("span", {}, make("kbd", {}, key), " ", text); }

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
  const play = make("button", { className: "main", onclick: () => setPlaying(!playing), title: "space" }, "play");
  const step = make("button", { onclick: () => { setPlaying(false); askStep(); }, title: "full stop" }, "step");
  const reset = make("button", { onclick: () => ask("reset"), title: "R" }, "reset");
  const eyes = make("button", {
    onclick: () => ask("close eyes"),
    title: "E: the dream goes on from what the game shows now",
  }, "close eyes here");
  const change = (name) => (value) => ask("change", { [name]: value });
  const [whereGroup, where] = choice("world", { dream: "dream", game: "game", both: "both" }, change("where"));
  const [driverGroup, driver] = choice("driver", { agent: "agent", you: "you" }, (value) => {
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
    className: "stage", tabIndex: 0,
    aria: { label: "The screen. Arrow keys drive when you are the driver; space plays and pauses; full stop steps; R resets." },
  });
  stage.setAttribute("role", "application"); // a screen reader passes the arrow keys on
  const keys = make("div", { className: "keys" });
  for (const [name, sign, label] of model.get("buttons")) keys.append(keyButton(name, sign, label));
  const counter = make("div", { className: "counter" });
  const status = make("div", { className: "status" });
  status.setAttribute("role", "status");
  const meters = model.get("numbers").map(([name, low, high]) => meter(name, low, high));
  const parts = model.get("parts"); // what M foretells of this game
  const rewards = chart("reward", { game: ["game", "the game pays"], foreseen: ["dream", "M foretells"] });
  const ends = chart("probability of the end", { game: ["game", "game"], dream: ["warm", "dream"] });
  rewards.box.hidden = !parts.includes("reward");
  ends.box.hidden = !parts.includes("end");
  const drives = keyed(model.get("buttons").map(([, sign]) => sign).join(" "), "drive");
  const eyesKey = keyed("E", "close eyes");
  const hint = make("div", { className: "wmlib-hint" },
    "click a picture, then", keyed("space", "play"), keyed(".", "step"), keyed("R", "reset"), eyesKey, drives);
  const box = make("div", { className: "wmlib wmlib-player" },
    make("div", { className: "wmlib-bar" }, play, step, reset, eyes, whereGroup, driverGroup),
    make("div", { className: "scene" },
      make("div", {}, stage, hint),
      make("div", { className: "side" },
        make("div", {}, counter, status, ...meters.map(([row]) => row), keys),
        make("div", {}, rewards.box, ends.box))),
    make("div", { className: "wmlib-bar" }, tauLabel, horizonLabel, seedLabel));
  for (const control of box.querySelectorAll("button, select, input, .stage")) {
    control.dataset.lmSuppressShortcuts = "true"; // JupyterLab keeps its own keys to itself here
  }
  box.tabIndex = -1; // where a click on a button gives it no focus (Safari), the box takes it, and with it the arrow keys
  box.dataset.lmSuppressShortcuts = "true";
  el.append(box);

  function keyButton(name, sign, label) {
    const button = make("button", { aria: { label }, title: `hold to ${label}; while paused it counts for the next step` }, make("b", {}, sign), make("span", {}, label));
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
    eyes.hidden = eyesKey.hidden = settings.where !== "both";
    tauLabel.hidden = settings.where === "game";
    keys.hidden = drives.hidden = settings.driver !== "you";
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
    drawStrips();
    showNumbers(view);
  }

  function showPictures(view, buffers) {
    const names = Object.keys(view.worlds);
    if (stage.dataset.worlds !== names.join()) {
      stage.dataset.worlds = names.join();
      stage.replaceChildren(...names.map((name) => {
        const picture = make("canvas", { className: "picture", width: 64, height: 64 });
        picture.setAttribute("role", "img");
        return make("figure", {}, make("figcaption", {}, make("b", {}, view.worlds[name].name), make("span")), picture);
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
      stage.children[i].querySelector("span").textContent = `${total} points ${promised}`;
      stage.children[i].classList.toggle("over", view.worlds[name].over);
    });
  }

  function showNumbers(view) {
    const said = [`frame ${view.t}`];
    const span = (drawn.at(-1) - drawn[0]) / 1000;
    if (playing && drawn.length > 5) said.push(`${((drawn.length - 1) / span).toFixed(0)} frames/s`);
    if (view.apart !== null) said.push(`apart ${view.apart.toFixed(2)}`);
    counter.textContent = said.join(" · ");
    meters.forEach(([, set], i) => set(view.action?.[i] ?? null));
    parting = view.parted === null ? "" : `the dream left the game at frame ${view.parted}`;
    if (view.over && !wishes.some(([what]) => what === "reset")) {
      setPlaying(false);
      say([`over after ${view.t} frames`, parting].filter(Boolean).join("; "));
    } else {
      say(state());
    }
  }

  function drawStrips() {
    const game = past.game, front = past.dream ?? game ?? [], last = front.at(-1);
    const of = (steps, name) => steps?.map((s) => s[name]);
    if (!rewards.box.hidden) {
      const shown = [...front.map((s) => s.foreseen), ...(of(game, "reward") ?? [])];
      const low = Math.floor(Math.min(0, ...shown)), high = Math.ceil(Math.max(1, ...shown)); // whole: it rests
      rewards.draw({ foreseen: of(front, "foreseen"), game: of(game, "reward") }, low, high,
        [...new Set([low, 0, high])].map((value) => [value, String(value).replace("-", "−")]),
        last ? `reward foretold ${last.foreseen.toFixed(2)}` : "reward, no steps yet");
    }
    if (!ends.box.hidden) {
      ends.draw({ dream: of(past.dream, "end"), game: of(game, "end") }, 0, 1, [[0, "0"], [0.5, "½"], [1, "1"]],
        last ? `probability of the end ${last.end.toFixed(2)}` : "probability of the end, no steps yet");
    }
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
