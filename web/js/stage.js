// The stage: the picture of the run that counts, how far it is, its nodes, and what this visit has made.
import { fileURL, post } from "./api.js";
import { say, trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { duration, many } from "./format.js";
import { icon } from "./icons.js";
import { may } from "./me.js";
import { needed, share } from "./runs.js";
import { title } from "./workflow.js";

const small = 256; // pictures up to this many pixels a side are shown with their pixels sharp

/** media makes the element that shows one output. */
export function media(item, alt) {
  if (item.kind === "text") return h("pre", { class: "out-text", text: item.text });
  const url = fileURL(item.file);
  if (item.kind === "video") return h("video", { src: url, controls: true, loop: true, "aria-label": alt });
  if (item.kind === "audio") return h("audio", { src: url, controls: true, "aria-label": alt });
  if (item.kind === "file") return h("a", { class: "btn", href: url, download: item.file.filename, text: item.file.filename });
  return picture(url, alt);
}

/** picture makes an image; small ones are enlarged with sharp pixels. */
export function picture(url, alt) {
  const img = h("img", { src: url, alt, decoding: "async" });
  img.addEventListener("load", () => img.classList.toggle("tiny", img.naturalWidth <= small && img.naturalHeight <= small));
  return img;
}

/** Stage shows runs. context: {runs, info(), open(run, item)}; it tells "error" ({detail: run}) when a run fails. */
export class Stage {
  constructor(context) {
    this.context = context;
    this.run = null;
    this.item = 0;
    this.since = 0;
    this.frame = h("div", { class: "frame" });
    this.caption = h("p", { class: "caption" });
    this.bar = h("progress", { max: 1, value: 0, "aria-label": "How far the run is" });
    this.cancel = button("Cancel", { icon: icon("stop"), on: { click: () => this.stop() } });
    this.steps = h("ol", { class: "steps" });
    this.details = h("details", { class: "more steps-box" }, h("summary", {}, h("span", { text: "Nodes" }), this.count = h("span", { class: "count" })), this.steps);
    this.details.open = window.matchMedia("(min-width: 62rem)").matches;
    this.strip = h("ul", { class: "strip", "aria-label": "Images of this visit" });
    this.el = h("section", { class: "stage", "aria-label": "Result" },
      h("div", { class: "card stage-card" }, this.frame, h("div", { class: "stage-line" }, this.caption, this.cancel), this.bar), this.strip, this.details);
    this.quarter = -1;
    context.runs.addEventListener("change", () => this.draw());
    context.runs.addEventListener("end", (e) => this.told(e.detail));
    this.clock = setInterval(() => this.run?.state === "running" && this.drawCaption(), 500);
    this.draw();
  }

  async stop() {
    if (!this.run) return;
    this.cancel.disabled = true;
    try {
      await post("api/v1/queue/cancel", { prompt_id: this.run.id });
    } catch (error) {
      if (error.status !== 404) trouble("Cancelling", error);
    }
    this.cancel.disabled = false;
  }

  /** clear takes the picture of an earlier workflow away; what still runs stays. */
  clear() {
    this.pinned = null;
    this.since = Date.now();
    this.draw();
  }

  /** follow shows the newest run again, after an older picture was looked at. */
  follow() {
    this.pinned = null;
    this.draw();
  }

  told(run) {
    const took = duration(run.end - run.start);
    if (run.state === "done") say(`Done in ${took}. ${many(run.outputs.length, "result")}.`);
    else if (run.state === "failed") say("The run has failed.");
    else say("The run was cancelled.");
  }

  draw() {
    let run = this.pinned ?? this.context.runs.active();
    if (run && run !== this.pinned && run.end && run.end < this.since) run = null;
    if (run !== this.run) {
      this.run = run;
      this.item = 0;
      this.quarter = -1;
      this.key = "";
    }
    this.el.dataset.state = run?.state ?? "empty";
    this.drawFrame();
    this.drawCaption();
    this.drawSteps();
    this.drawStrip();
  }

  drawFrame() {
    const run = this.run;
    const shown = run?.outputs.filter((o) => o.kind !== "file") ?? [];
    const item = shown[Math.min(this.item, shown.length - 1)];
    const key = !run ? `empty ${this.since}` : item ? `${run.id} ${item.key}` : run.preview ?? `${run.id} ${run.state}`;
    if (key === this.key) return;
    this.key = key;
    if (item) {
      const alt = altOf(run);
      const el = media(item, alt);
      const clickable = item.kind === "image";
      fill(this.frame, clickable ? h("button", { class: "frame-open", type: "button", "aria-label": `${alt}. Look at it closely`, on: { click: () => this.context.open(run, item) } }, el) : el);
    } else if (run?.preview && run.state === "running") {
      const old = this.frame.querySelector("img.preview");
      if (old) old.src = run.preview;
      else fill(this.frame, Object.assign(picture(run.preview, "Preview of the running image"), { className: "preview" }));
    } else fill(this.frame, this.vacant());
  }

  vacant() {
    const run = this.run;
    if (run?.state === "failed") return failure(run, this.context);
    const words = {
      waiting: ["queue", "Waiting for its turn"], running: ["play", "Working"], cancelled: ["stop", "Cancelled"], done: ["check", "Done. No output."],
    }[run?.state] ?? ["gallery", "The result appears here"];
    return h("div", { class: "vacant" }, icon(words[0]), h("p", { text: words[1] }));
  }

  drawCaption() {
    const run = this.run;
    const busy = run?.state === "running" || run?.state === "waiting";
    this.cancel.hidden = !busy || !may("POST /v1/queue/cancel");
    this.bar.hidden = !busy;
    if (!run) {
      this.caption.textContent = "";
      return;
    }
    if (run.state === "running") {
      const at = share(run);
      this.bar.value = at;
      const n = run.nodes.get(run.node);
      const name = run.node ? title(run.graph, run.node, this.context.info()) : "Starting";
      const step = n?.max > 1 ? `, ${n.value} of ${n.max}` : "";
      this.caption.textContent = `${name}${step} · ${duration(Date.now() - run.start)}`;
      this.tell(name, at);
      return;
    }
    if (run.state === "waiting") this.bar.removeAttribute("value");
    const seed = Object.values(run.graph).map((x) => x.inputs.seed ?? x.inputs.noise_seed).find((v) => typeof v === "number" || typeof v === "bigint");
    this.caption.textContent = {
      waiting: "Waiting for its turn",
      done: [duration(run.end - run.start), seed !== undefined && `seed ${seed}`].filter(Boolean).join(" · "),
      failed: `Failed after ${duration(run.end - run.start)}`, cancelled: "Cancelled",
    }[run.state];
  }

  /** tell speaks of the progress four times a run, not at every step. */
  tell(name, at) {
    const quarter = Math.floor(at * 4);
    if (quarter <= this.quarter) return;
    this.quarter = quarter;
    say(quarter ? `${quarter * 25} percent. ${name}.` : `Running. ${name}.`);
  }

  drawSteps() {
    const run = this.run;
    const ids = run ? needed(run.graph) : [];
    this.details.hidden = !ids.length; // of a registered workflow the nodes may not be ours to see
    if (!ids.length) return;
    const info = this.context.info();
    const over = [...run.nodes.values()].filter((n) => n.state === "done" || n.state === "cached").length;
    this.count.textContent = `${over} of ${ids.length}`;
    if (this.drawn !== run.id) {
      this.drawn = run.id;
      this.rows = new Map(ids.map((id) => {
        const row = { state: h("span", { class: "step-state" }), right: h("span", { class: "step-right" }) };
        row.el = h("li", { data: { node: id } }, row.state, h("span", { class: "step-title", text: title(run.graph, id, info) }), row.right);
        return [id, row];
      }));
      fill(this.steps, [...this.rows.values()].map((r) => r.el));
    }
    for (const [id, row] of this.rows) drawStep(row, run.nodes.get(id), run);
  }

  drawStrip() {
    const items = this.context.runs.list.flatMap((run) => run.outputs.filter((o) => o.kind === "image").map((o) => [run, o]));
    const key = items.map(([, o]) => o.key).join("|") + this.run?.id;
    if (key === this.stripKey) return;
    this.stripKey = key;
    this.strip.hidden = items.length < 2;
    fill(this.strip, items.slice(0, 24).map(([run, item]) => h("li", {},
      button("", {
        class: "thumb", "aria-label": `Show ${altOf(run)}`, "aria-current": run === this.run ? "true" : null,
        on: { click: () => this.pin(run, item) },
      }, picture(fileURL(item.file), "")))));
  }

  pin(run, item) {
    this.pinned = run === this.context.runs.active() ? null : run;
    this.draw();
    this.item = run.outputs.filter((o) => o.kind !== "file").indexOf(item);
    this.drawFrame();
  }
}

const stateWords = { done: "done", cached: "kept from before", running: "running", failed: "failed", stopped: "stopped" };

function drawStep(row, n, run) {
  const state = n?.state ?? "open";
  if (row.el.dataset.state !== state) {
    row.el.dataset.state = state;
    fill(row.state, state === "failed" ? icon("warn") : state === "done" || state === "cached" ? icon("check") : null,
      h("span", { class: "sr-only", text: stateWords[state] ?? (run.state === "running" ? "not yet" : "not run") }));
  }
  row.right.textContent = state === "cached" ? "kept" : state === "running" && n.max > 1 ? `${n.value} / ${n.max}` : state === "done" && n.start ? duration(n.end - n.start) : "";
  row.el.style.setProperty("--part", state === "running" && n.max > 0 ? String(n.value / n.max) : "0");
}

/** altOf describes a run's picture by its prompt. */
function altOf(run) {
  const text = Object.values(run.graph).map((n) => n.inputs.text).find((t) => typeof t === "string" && t.trim());
  return text ? `Image: ${text.trim().slice(0, 120)}` : "Image";
}

/** failure shows what a node said when it failed. */
function failure(run, context) {
  const e = run.error ?? {};
  const name = e.node_id !== undefined ? title(run.graph, e.node_id, context.info()) : e.node_type;
  const trace = Array.isArray(e.traceback) ? e.traceback.join("") : "";
  return h("div", { class: "failure", role: "group", "aria-label": "Error" }, icon("warn"),
    h("p", { class: "failure-where", text: name ? `${name} has failed` : "The run has failed" }),
    h("p", { class: "failure-what", text: e.exception_message ?? "The server gave no reason." }),
    context.goTo && e.node_id !== undefined && button("Show its inputs", { on: { click: () => context.goTo(e.node_id) } }),
    trace && h("details", { class: "trace" }, h("summary", { text: "Details" }), h("pre", { text: `${e.exception_type ?? ""}\n${trace}`.trim() })));
}
