// Opening a workflow: from a file, a picture, the clipboard, a starter or the saved ones.
import { get, post } from "./api.js";
import { notice } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { parse } from "./json.js";
import { readFile } from "./metadata.js";
import { find, tidy } from "./workflow.js";

/** convert has the server turn a workflow as the frontend draws it into a graph in API form. */
async function convert(drawing) {
  const answer = await post("api/workflow/convert", drawing);
  const found = find(answer);
  if (!found?.graph) throw new Error("the server could not turn it into a graph");
  return found.graph;
}

async function toGraph(found) {
  if (found.graph) return tidy(found.graph);
  return tidy(await convert(found.drawing));
}

/** fromValue makes a graph of a JSON value. It throws an Error that says what is wrong in words for people. */
async function fromValue(value) {
  const found = find(value);
  if (!found) throw new Error("This isn't a workflow: it has no nodes.");
  return toGraph(found);
}

/** fromText makes a graph of JSON text, as it is pasted. */
function fromText(text) {
  let value;
  try {
    value = parse(text);
  } catch {
    throw new Error("This isn't a workflow.");
  }
  return fromValue(value);
}

/** fromFile makes a graph of a file: JSON, or a picture with its workflow inside. */
export async function fromFile(file) {
  let read;
  try {
    read = await readFile(file);
  } catch (error) {
    throw new Error(error instanceof SyntaxError ? "This file is neither a workflow nor an image." : `The file cannot be read: ${error.message}.`);
  }
  if (read.json !== undefined) return fromValue(read.json);
  const texts = read.texts ?? {};
  for (const name of ["prompt", "workflow"]) {
    if (!texts[name]) continue;
    let found = null;
    try {
      found = find(parse(texts[name]));
    } catch {
      continue; // the other one may be whole
    }
    if (found) return toGraph(found);
  }
  if (texts.parameters) throw new Error("This image holds the settings of another program, and no ComfyUI workflow.");
  throw new Error("This file holds no ComfyUI workflow. Images lose theirs when they are edited, or sent through a messenger.");
}

/** watchDrops takes files that are dropped or pasted anywhere on the page. take(promise of a graph, name) does the rest. */
export function watchDrops(take) {
  const veil = document.getElementById("drop-veil");
  let depth = 0;
  const files = (e) => [...(e.dataTransfer?.types ?? [])].includes("Files");
  const show = (on) => veil.classList.toggle("on", on);
  document.addEventListener("dragenter", (e) => {
    if (!files(e)) return;
    depth += 1;
    show(true);
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  document.addEventListener("dragover", (e) => files(e) && e.preventDefault());
  document.addEventListener("drop", (e) => {
    depth = 0;
    show(false);
    if (e.defaultPrevented || !files(e)) return;
    e.preventDefault();
    const file = e.dataTransfer.files[0];
    if (file) take(fromFile(file), file.name);
  }, false);
  document.addEventListener("drop", () => show(false), true);
  document.addEventListener("paste", (e) => {
    if (e.defaultPrevented) return;
    const file = e.clipboardData.files[0];
    const typing = e.target.closest?.("input, textarea, select");
    if (file && (!typing || file.type.startsWith("image/"))) {
      e.preventDefault();
      take(fromFile(file), file.name);
      return;
    }
    const text = e.clipboardData.getData("text/plain");
    if (typing || !text.trimStart().startsWith("{")) return;
    e.preventDefault();
    take(fromText(text), "Pasted workflow");
  });
}

/** openDialog asks what to open. context: {starters(): list, take(promise, name), registered}. */
export function openDialog(context) {
  const file = h("input", { type: "file", accept: ".json,.png,.webp,.jpg,.jpeg,.latent,application/json,image/png,image/webp,image/jpeg", class: "sr-only", tabindex: -1, "aria-label": "Workflow or image" });
  const saved = h("div", { class: "saved" });
  const dialog = h("dialog", { class: "sheet", "aria-labelledby": "open-title" });
  const pick = (promise, name) => {
    dialog.close();
    context.take(promise, name);
  };
  file.addEventListener("change", () => file.files[0] && pick(fromFile(file.files[0]), file.files[0].name));
  const list = context.starters();
  fill(dialog,
    h("div", { class: "sheet-head" }, h("h2", { id: "open-title", text: "Open a workflow" }),
      button("", { icon: icon("close"), quiet: true, "aria-label": "Close", on: { click: () => dialog.close() } })),
    h("button", { type: "button", class: "big-drop", on: { click: () => file.click() } }, icon("open"),
      h("strong", { text: "Choose a file" }), h("span", { text: "A workflow (.json), or an image made with ComfyUI. You can also drop or paste one anywhere on this page." })), file,
    list.length > 0 && h("h3", { text: "Start from" }),
    h("ul", { class: "choices" }, list.map((s) => h("li", {}, h("button", { type: "button", class: "choice", on: { click: () => pick(Promise.resolve(tidy(s.graph)), s.name) } },
      h("strong", { text: s.name }), h("span", { text: s.about }))))),
    context.registered && h("p", { class: "registered" }, h("a", { href: "#/workflows", text: "Workflows registered on this server", on: { click: () => dialog.close() } })),
    saved);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  showSaved(saved, pick);
}

async function showSaved(box, pick) {
  let names;
  try {
    names = (await get("v2/userdata")).map((entry) => entry.path); // this list, unlike the older one, is never a 404
  } catch {
    return; // nobody has saved anything, or it is not ours to see
  }
  names = names.filter((n) => typeof n === "string" && /^workflows\/.*\.json$/.test(n)).sort();
  if (!names.length) return;
  fill(box, h("h3", { text: "Saved on the server" }), h("ul", { class: "choices compact" }, names.map((n) => h("li", {},
    h("button", { type: "button", class: "choice", on: { click: () => pick(loadSaved(n), label(n)) } }, h("strong", { text: label(n) }))))));
}

function label(name) {
  return name.replace(/^workflows\//, "").replace(/\.json$/, "");
}

async function loadSaved(name) {
  const value = await get(`userdata/${encodeURIComponent(name)}`);
  return fromValue(typeof value === "string" ? parse(value) : value);
}

/** refused shows why something could not be opened. */
export function refused(name, error) {
  notice(`${name ? `${name}: ` : ""}${error.message}`, { kind: "bad" });
}
