// The gallery: everything that was made, the newest first.
import { fileURL, get } from "./api.js";
import { trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { ago } from "./format.js";
import { icon } from "./icons.js";
import { lightbox } from "./lightbox.js";
import { outputsOf } from "./runs.js";
import { picture } from "./stage.js";

const page = 48;

/** Gallery is that page. context: {runs, info(), use(graph, name)}. */
export class Gallery {
  constructor(context) {
    this.context = context;
    this.title = "Gallery";
    this.grid = h("ul", { class: "grid" });
    this.more = button("Show more", { class: "center", on: { click: () => this.load() } });
    this.older = h("section", { class: "older" });
    this.empty = h("div", { class: "empty" });
    this.el = h("section", { class: "page wide" }, h("div", { class: "page-head" }, h("h1", { text: "Gallery", tabindex: -1 })), this.empty, this.grid, this.more, this.older);
    context.runs.addEventListener("end", () => { this.stale = true; if (this.el.isConnected) this.show(); });
  }

  async show() {
    if (this.jobs && !this.stale) return;
    this.stale = false;
    this.jobs = [];
    await this.load();
  }

  async load() {
    try {
      const first = this.jobs.length === 0;
      const answer = await get("api/jobs", { status: "completed", limit: page, offset: this.jobs.length });
      this.jobs.push(...answer.jobs);
      this.hasMore = answer.pagination.has_more;
      if (first) this.files = await this.loose();
    } catch (error) {
      trouble("Reading the gallery", error);
    }
    this.draw();
  }

  /** loose lists pictures of the output folder that no job of the history has made. */
  async loose() {
    try {
      const names = await get("internal/files/output");
      return names.map((n) => n.replace(/ \[output\]$/, "")).filter((n) => /\.(png|webp|jpe?g|gif|avif|mp4|webm|mov|mkv|flac|mp3|wav|ogg|opus)$/i.test(n)).slice(0, 200);
    } catch {
      return []; // the role may not list the folder
    }
  }

  /** shown are the jobs with a tile. A run that found its result in the cache has the file of an earlier one. */
  shown() {
    const seen = new Set();
    return this.jobs.filter((j) => {
      const o = j.preview_output;
      const key = o?.filename && `${o.type}/${o.subfolder}/${o.filename}`;
      return key && !seen.has(key) && seen.add(key);
    });
  }

  draw() {
    const shown = this.shown();
    const made = new Set(shown.map((j) => j.preview_output.filename));
    const loose = this.hasMore ? [] : (this.files ?? []).filter((n) => !made.has(n) && !this.batchOf(n, shown));
    fill(this.grid, shown.map((j) => this.tile(j)));
    this.more.hidden = !this.hasMore;
    fill(this.older, loose.length > 0 && [h("h2", { text: "Also in the output folder" }), h("ul", { class: "grid" }, loose.map((n, i) => this.file(n, i, loose)))]);
    const nothing = !shown.length && !loose.length;
    this.empty.hidden = !nothing;
    fill(this.empty, nothing && [icon("gallery"), h("h2", { text: "No results yet" }), h("p", { text: "What you make appears here, with the prompt behind it." }), h("a", { class: "btn primary", href: "#/", text: "Make the first one" })]);
  }

  /** batchOf reports whether a file is a sister of a job's picture: its number follows closely, as a batch's do. */
  batchOf(name, jobs) {
    const [, stem, number] = /^(.*?)_(\d+)_\.\w+$/.exec(name) ?? [];
    return stem !== undefined && jobs.some((j) => {
      const own = /^(.*?)_(\d+)_\.\w+$/.exec(j.preview_output.filename);
      return own && own[1] === stem && Number(number) > Number(own[2]) && Number(number) < Number(own[2]) + j.outputs_count;
    });
  }

  tile(job) {
    const when = ago(job.execution_end_time ?? job.create_time);
    const [item] = outputsOf(job.preview_output.nodeId, { [job.preview_output.mediaType ?? "images"]: [job.preview_output] });
    return h("li", {}, h("button", { type: "button", class: "tile", "aria-label": `${job.preview_output.filename} ${when}`, on: { click: () => this.look(job) } },
      thumb(item),
      job.outputs_count > 1 && h("span", { class: "badge", text: String(job.outputs_count), "aria-hidden": "true" }),
      h("span", { class: "tile-line" }, h("span", { text: job.preview_output.filename }), " ", h("span", { text: when }))));
  }

  file(name, i, names) {
    return h("li", {}, h("button", {
      type: "button", class: "tile", "aria-label": name, on: {
        click: () => lightbox(names.map((n) => ({ item: looseItem(n) })), i, { info: this.context.info, use: this.context.use }),
      },
    }, thumb(looseItem(name)), h("span", { class: "tile-line" }, h("span", { text: name }))));
  }

  /** look opens a job's pictures, with those of its neighbours to go on to. */
  async look(job) {
    const entries = [];
    let at = 0;
    for (const j of this.shown()) {
      if (j.id === job.id) at = entries.length;
      let items = outputsOf(j.preview_output.nodeId, { [j.preview_output.mediaType ?? "images"]: [j.preview_output] });
      if (j.id === job.id && j.outputs_count > 1) items = (await allOutputs(j.id)) ?? items;
      for (const item of items) entries.push({ item, job: j.id });
    }
    lightbox(entries, at, {
      info: this.context.info, use: this.context.use,
      removed: (id) => {
        this.jobs = this.jobs.filter((j) => j.id !== id);
        this.draw();
      },
    });
  }
}

/** looseItem is a file of the output folder as an output. */
function looseItem(name) {
  return outputsOf("", { images: [{ filename: name, subfolder: "", type: "output" }] })[0];
}

async function allOutputs(id) {
  try {
    const job = await get(`api/jobs/${id}`);
    const items = Object.entries(job.outputs ?? {}).flatMap(([node, output]) => outputsOf(node, output)).filter((o) => o.file);
    return items.length ? items : null;
  } catch {
    return null;
  }
}

/** thumb shows an output in its tile: the image, the first frame of a video, or a sign for its kind. */
function thumb(item) {
  if (item?.kind === "image") return lazy(fileURL(item.file));
  if (item?.kind === "video") {
    const video = h("video", { src: `${fileURL(item.file)}#t=0.01`, preload: "metadata", playsinline: true, tabindex: -1, "aria-hidden": "true" });
    video.muted = true;
    return [video, h("span", { class: "tile-play", "aria-hidden": "true" }, icon("play"))];
  }
  return h("span", { class: "tile-kind" }, icon(item?.kind === "audio" ? "audio" : "play"));
}

function lazy(url) {
  const img = picture(url, "");
  img.loading = "lazy";
  return img;
}
