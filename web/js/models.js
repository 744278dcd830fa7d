// The models: what the server has, and where more of them go.
import { get } from "./api.js";
import { trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { bytes, human, many } from "./format.js";
import { icon } from "./icons.js";
import { pathRow } from "./welcome.js";

const first = ["checkpoints", "diffusion_models", "loras", "vae", "text_encoders", "embeddings", "controlnet", "upscale_models", "vae_approx", "clip_vision"];
const names = { checkpoints: "Checkpoints", loras: "LoRAs", vae: "VAEs", vae_approx: "Preview decoders", controlnet: "ControlNets" };
const hidden = new Set(["configs", "custom_nodes", "datasets", "classifiers"]);

/** Models is that page. context: {reloadInfo(), me}. */
export class Models {
  constructor(context) {
    this.context = context;
    this.title = "Models";
    this.search = h("input", { type: "search", id: "model-search", placeholder: "Find a file", "aria-label": "Find a model file", on: { input: () => this.draw() } });
    this.body = h("div", { class: "kinds" });
    this.el = h("section", { class: "page" },
      h("div", { class: "page-head" }, h("h1", { text: "Models", tabindex: -1 }), h("div", { class: "row" }, this.search, button("Refresh", { icon: icon("refresh"), on: { click: () => this.show() } }))), this.body);
  }

  async show() {
    try {
      const folders = this.context.me.admin ? await get("internal/folder_paths") : Object.fromEntries((await get("models")).map((kind) => [kind, []]));
      const kinds = Object.keys(folders).filter((k) => !hidden.has(k));
      kinds.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
      this.kinds = await Promise.all(kinds.map(async (kind) => ({ kind, paths: folders[kind], files: await filesOf(kind) })));
      await this.context.reloadInfo();
    } catch (error) {
      trouble("Listing the models", error);
    }
    this.draw();
  }

  draw() {
    const word = this.search.value.trim().toLowerCase();
    const kinds = (this.kinds ?? []).map((k) => ({ ...k, shown: k.files.filter((f) => f.name.toLowerCase().includes(word)) }));
    const full = kinds.filter((k) => k.shown.length);
    const bare = word ? [] : kinds.filter((k) => !k.files.length);
    fill(this.body, full.map((k) => section(k)),
      word && !full.length && h("div", { class: "empty" }, icon("models"), h("h2", { text: "No file has this name" })),
      bare.length > 0 && h("details", { class: "more" }, h("summary", {}, h("span", { text: "Folders without files" }), h("span", { class: "count", text: String(bare.length) })),
        h("dl", { class: "folders" }, bare.map((k) => h("div", {}, h("dt", { text: label(k.kind) }), h("dd", {}, k.paths.length ? pathRow(k.paths[0]) : ""))))));
  }
}

function section(k) {
  return h("section", { class: "card kind", "aria-label": label(k.kind) },
    h("div", { class: "group-head" }, h("h2", { text: label(k.kind) }), h("span", { class: "count", text: many(k.shown.length, "file") })),
    h("ul", { class: "files" }, k.shown.map((f) => h("li", {}, h("span", { class: "file-name", text: f.name }), told(f), f.size !== undefined && h("span", { class: "quiet", text: bytes(f.size) })))),
    k.paths.length > 0 && h("details", { class: "where" }, h("summary", { text: many(k.paths.length, "folder") }), k.paths.map((p) => pathRow(p))));
}

/** told says what a file is and whether it can be used, as far as the server knows. */
function told(f) {
  if (f.usable === undefined || f.usable === null) return null;
  return h("span", { class: ["quiet", "file-state"], data: { usable: String(f.usable) } }, icon(f.usable ? "check" : "warn"),
    h("span", { text: f.usable ? f.family || "can be used" : `${f.family ? `${f.family}: ` : ""}${f.problem}` }));
}

function place(kind) {
  const at = first.indexOf(kind);
  return at < 0 ? first.length : at;
}

function label(kind) {
  return names[kind] ?? human(kind);
}

/** filesOf lists a folder's files with their sizes, families and whether they can be used. */
async function filesOf(kind) {
  const folder = encodeURIComponent(kind);
  const names = await get(`models/${folder}`);
  if (!names.length) return [];
  const about = new Map((await get(`api/v1/models/${folder}`).catch(() => [])).map((f) => [f.name, f]));
  return names.map((name) => ({ ...about.get(name), name: String(name) }));
}
