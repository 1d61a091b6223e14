// The page: which games there are, what is loaded when, and what is said when something is missing.

import { Engine, FileError, World, fetchBytes, megabytesFor, parseTensors } from "./world.js";
import { Film, PageError, make } from "./ui.js";
import { Drive } from "./demos/drive.js";
import { Beside } from "./demos/beside.js";
import { Futures } from "./demos/futures.js";
import { Sliders } from "./demos/sliders.js";
import { Mixture } from "./demos/mixture.js";
import { Cheat } from "./demos/cheat.js";
import { Look } from "./demos/look.js";

const find = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search); // ?game=NAME chooses one, ?only=drive shows one demo alone
let demos = [], chosen = "";

/** Say what is wrong, in place of the demos or above them. */
function tell(error) {
  if (!(error instanceof FileError || error instanceof PageError)) throw error;
  find("notice").textContent = error.message;
  find("notice").hidden = false;
  document.body.dataset.state = "failed";
}

async function begin() {
  const list = parse(await fetchBytes("data/games.json"), "data/games.json");
  if (!list.games?.length) throw new FileError("data/games.json names no game. Make one: python -m wmlib export-web");
  const drive = new Drive(find("drive"));
  demos = [drive, new Beside(find("beside")), new Futures(find("futures"), drive), new Sliders(find("sliders"), drive), new Mixture(find("mixture"), drive), new Cheat(find("cheat")), new Look(find("look"))];
  if (find(asked.get("only"))?.matches("main > section")) {
    document.body.classList.add("alone");
    find(asked.get("only")).classList.add("shown");
  }
  const first = list.games.includes(asked.get("game")) ? asked.get("game") : list.games[0];
  find("games").append(...list.games.map((name) => {
    const input = make("input", { type: "radio", name: "game", value: name, checked: name === first });
    input.onchange = () => open(name).catch(tell);
    return make("label", {}, {}, input, make("span", {}, {}, list.titles?.[name] ?? name));
  }));
  await open(first);
}

/** One game: its dream first, so that there is something to see; then the recorded game and V's eyes, so that no more is needed. */
async function open(name) {
  chosen = name;
  document.body.dataset.state = "loading";
  const file = (end) => `data/${name}/${end}`;
  const [kernel, bytes] = await Promise.all([fetchBytes("kernel.wasm"), fetchBytes(file("world.safetensors"))]);
  if (chosen !== name) return; // the reader was faster
  const read = parseTensors(bytes, file("world.safetensors"));
  const engine = new Engine(kernel, megabytesFor(bytes) + 16); // V's eyes come later
  const world = new World(engine, read, file("world.safetensors"));
  find("notice").hidden = true;
  document.querySelector("main").hidden = false;
  for (const demo of demos) demo.open(world);
  if (document.body.matches(".alone")) demos[0].ahead(60); // its dream is not to be seen, but a moment of it is wanted
  performance.mark("first picture");
  document.body.dataset.state = "ready";
  about(world);
  const later = { priority: "low" };
  const [record, film, eyes] = await Promise.all([fetchBytes(file("record.safetensors"), later), fetchBytes(file("record.webp"), later), fetchBytes(file("eyes.safetensors"), later)]);
  if (chosen !== name) return;
  const played = parseTensors(record, file("record.safetensors")), frames = new Film(await picture(film, file("record.webp")), played.about.columns);
  const recorded = { mu: played.tensors.mu.data, actions: played.tensors.actions.data, frame: (t) => frames.frame(t) };
  const seen = parseTensors(eyes, file("eyes.safetensors"));
  if (chosen !== name) return;
  for (const demo of demos) {
    demo.recorded?.(recorded);
    demo.eyes?.(seen);
  }
  document.body.dataset.state = "complete";
}

async function picture(bytes, name) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
  try {
    await image.decode();
  } catch {
    throw new FileError(`${name} is damaged, or this browser reads no WebP. Make it again: python -m wmlib export-web`);
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}

function parse(bytes, name) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new FileError(`${name} is damaged. Make it again: python -m wmlib export-web`);
  }
}

function about({ about: { task, weights }, engine }) {
  const how = engine.kernel ? "" : ` WebAssembly is not to be had here (${engine.refused}), so it computes in plain JavaScript, some four times slower.`;
  find("about").textContent = `V, M and C of the task ${task}, weights ${weights}.${how}`;
}

begin().catch(tell);
