// The history: every job that has come to its end, and how.
import { fileURL, get, post } from "./api.js";
import { trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { clock, duration, many } from "./format.js";
import { icon } from "./icons.js";
import { may } from "./me.js";
import { picture } from "./stage.js";
import { isGraph, summarize, tidy } from "./workflow.js";

const page = 40;
const filters = [["", "All"], ["completed", "Done"], ["failed", "Failed"], ["cancelled", "Cancelled"]];
const words = { completed: ["check", "Done"], failed: ["warn", "Failed"], cancelled: ["stop", "Cancelled"] };

/** shorten cuts a prompt to a line or two. */
function shorten(text) {
  const longest = 160;
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** History is that page. context: {runs, info(), use(graph, name)}. */
export class History {
  constructor(context) {
    this.context = context;
    this.title = "History";
    this.filter = "";
    this.choose = h("div", { class: "segments", role: "group", "aria-label": "Show" }, filters.map(([key, label]) =>
      button(label, { "aria-pressed": String(key === ""), data: { key }, on: { click: () => this.pick(key) } })));
    this.list = h("ul", { class: "jobs" });
    this.more = button("Show more", { class: "center", on: { click: () => this.load() } });
    this.clear = button("Clear", { icon: icon("trash"), on: { click: () => this.forget({ clear: true }, "Clearing the history") } });
    this.el = h("section", { class: "page" }, h("div", { class: "page-head" }, h("h1", { text: "History", tabindex: -1 }), h("div", { class: "row" }, this.clear)), this.choose, this.list, this.more);
    context.runs.addEventListener("end", () => this.el.isConnected && this.show());
  }

  show() {
    this.clear.hidden = !may("POST /history");
    this.jobs = [];
    return this.load();
  }

  pick(key) {
    this.filter = key;
    for (const b of this.choose.children) b.setAttribute("aria-pressed", String(b.dataset.key === key));
    return this.show();
  }

  async load() {
    try {
      const answer = await get("api/jobs", { status: this.filter || "completed,failed,cancelled", limit: page, offset: this.jobs.length });
      this.jobs.push(...answer.jobs);
      await this.readPrompts(answer.jobs.length);
      this.more.hidden = !answer.pagination.has_more;
    } catch (error) {
      trouble("Reading the history", error);
      this.more.hidden = true;
    }
    this.draw();
  }

  /** readPrompts learns the prompts of the newest jobs, as far as the history tells them. */
  async readPrompts(more) {
    this.prompts ??= new Map();
    const have = await get("history", { max_items: this.jobs.length + more }).catch(() => ({}));
    for (const [id, row] of Object.entries(have)) {
      const graph = row.prompt?.[2];
      if (isGraph(graph)) this.prompts.set(id, summarize(tidy(graph), this.context.info()).positive);
    }
  }

  draw() {
    this.clear.disabled = !this.jobs.length;
    fill(this.list, this.jobs.map((j) => h("li", {}, this.row(j))));
    if (!this.jobs.length) fill(this.list, h("li", { class: "empty" }, icon("history"), h("h2", { text: this.filter ? "None of these" : "Nothing has run yet" }), h("p", { text: "Runs are listed here when they are over." })));
  }

  row(job) {
    const [shape, word] = words[job.status] ?? ["more", job.status];
    const took = job.execution_start_time && job.execution_end_time ? duration(job.execution_end_time - job.execution_start_time) : "";
    const e = job.execution_error;
    const thumb = job.preview_output?.filename && job.preview_output.mediaType === "images";
    return h("article", { class: ["card", "job", "past"], data: { state: job.status, id: job.id } },
      h("div", { class: "job-thumb" }, thumb ? Object.assign(picture(fileURL(job.preview_output), ""), { loading: "lazy" }) : icon(shape)),
      h("div", { class: "job-about" },
        h("p", { class: "job-name" }, h("span", { class: "state" }, icon(shape), word), took && h("span", { class: "quiet", text: took })),
        h("p", { class: "job-line", text: [clock(job.execution_end_time ?? job.create_time), job.outputs_count > 0 && many(job.outputs_count, "result")].filter(Boolean).join(" · ") }),
        this.prompts?.get(job.id) && h("p", { class: "job-prompt", text: shorten(this.prompts.get(job.id)), title: this.prompts.get(job.id) }),
        e && h("p", { class: "job-error", text: `${e.node_type ?? "A node"}: ${e.exception_message ?? ""}` })),
      h("div", { class: "job-acts" },
        this.context.use && button("Use", { icon: icon("create"), "aria-label": `Use this workflow again, of ${clock(job.create_time)}`, on: { click: () => this.use(job) } }),
        may("POST /history") && button("", { icon: icon("trash"), quiet: true, "aria-label": `Remove the run of ${clock(job.create_time)} from the history`, title: "Remove from history", on: { click: () => this.forget({ delete: [job.id] }, "Removing it from the history") } })));
  }

  async use(job) {
    try {
      const full = await get(`api/jobs/${job.id}`);
      if (!isGraph(full.workflow?.prompt)) throw new Error("its workflow was not kept");
      this.context.use(tidy(full.workflow.prompt), "From the history");
    } catch (error) {
      trouble("Opening the run", error);
    }
  }

  async forget(body, doing) {
    try {
      await post("history", body);
    } catch (error) {
      trouble(doing, error);
    }
    await this.show();
  }
}
