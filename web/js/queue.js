// The queue: what runs, what waits, and in which order.
import { get, post } from "./api.js";
import { say, trouble } from "./announce.js";
import { button, fill, h, later } from "./dom.js";
import { ago, duration, many } from "./format.js";
import { icon } from "./icons.js";
import { may } from "./me.js";
import { share } from "./runs.js";
import { summarize, tidy, title } from "./workflow.js";

const readEvery = 1000;

/** Queue is that page. context: {runs, socket, info(), count(n)}. */
export class Queue {
  constructor(context) {
    this.context = context;
    this.title = "Queue";
    this.list = h("ol", { class: "jobs", "aria-label": "Waiting" });
    this.running = h("div", { class: "jobs" });
    this.state = h("p", { class: "lead" });
    this.pause = button("Pause", { icon: icon("pause"), on: { click: () => this.hold() } });
    this.clear = button("Clear", { icon: icon("trash"), on: { click: () => this.empty() } });
    this.el = h("section", { class: "page" },
      h("div", { class: "page-head" }, h("h1", { text: "Queue", tabindex: -1 }), h("div", { class: "row" }, this.pause, this.clear)), this.state, this.running, this.list);
    this.read = later(() => this.load(), 120);
    context.socket.addEventListener("message", (e) => e.detail.type === "status" && this.read());
    context.socket.addEventListener("state", (e) => e.detail === "open" && this.read());
    context.runs.addEventListener("change", (e) => this.el.isConnected && this.progress(e.detail));
  }

  show() {
    this.pause.hidden = !may("POST /v1/queue/pause");
    this.clear.hidden = !may("POST /queue");
    clearInterval(this.timer);
    this.timer = setInterval(() => this.poll(), readEvery);
    return this.load();
  }

  hide() {
    clearInterval(this.timer);
  }

  async load() {
    let queue;
    const asked = performance.now();
    try {
      queue = await get("queue");
      if (this.el.isConnected) this.figures = await get("api/v1/queue");
    } catch (error) {
      if (this.el.isConnected && error.status) trouble("Reading the queue", error);
      return;
    }
    this.now = queue.queue_running ?? [];
    this.waiting = queue.queue_pending ?? [];
    this.context.count(this.now.length + this.waiting.length);
    this.context.runs.compare(new Set([...this.now, ...this.waiting].map((item) => item[1])), asked);
    if (this.el.isConnected) this.draw();
  }

  draw() {
    const paused = this.figures?.paused;
    fill(this.pause, icon(paused ? "play" : "pause"), h("span", { text: paused ? "Go on" : "Pause" }));
    this.clear.disabled = !this.waiting.length;
    const total = this.now.length + this.waiting.length;
    this.state.textContent = paused ? "Paused. What runs goes on to its end; what waits stays." : this.waiting.length ? `${many(this.waiting.length, "job")} waiting.` : "";
    fill(this.running, this.now.map((item) => this.job(item, -1)));
    const focus = this.list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    fill(this.list, this.waiting.map((item, i) => h("li", {}, this.job(item, i))));
    if (focus) (this.list.querySelector(`[data-key="${CSS.escape(focus)}"]:not(:disabled)`) ?? this.list.querySelector("button:not(:disabled)"))?.focus();
    if (!total) fill(this.list, h("li", { class: "empty" }, icon("queue"), h("h2", { text: "Nothing is queued" }), h("p", { text: "Runs wait here for their turn." })));
  }

  job([number, id, prompt, extra], at) {
    const graph = tidy(prompt);
    const sum = summarize(graph, this.context.info());
    const mine = extra?.client_id === this.context.socket.id;
    const name = sum.positive.slice(0, 160) || `${many(Object.keys(graph).length, "node")}`;
    const move = (key, label, shape, to, off) => button("", { icon: icon(shape), quiet: true, disabled: off, data: { key: `${id}-${key}` }, "aria-label": `${label}: ${name}`, title: label, on: { click: () => this.move(id, to) } });
    const last = this.waiting.length - 1;
    const movable = at >= 0 && may("POST /v1/queue/move");
    const el = h("article", { class: ["card", "job", at < 0 && "now"], data: { id }, draggable: movable ? "true" : null },
      h("div", { class: "job-place", "aria-hidden": "true" }, at < 0 ? icon("play") : String(at + 1)),
      h("div", { class: "job-about" }, h("p", { class: "job-name", text: name }),
        h("p", { class: "job-line", text: [mine ? "from this page" : "", extra?.create_time ? ago(extra.create_time) : `number ${number}`].filter(Boolean).join(" · ") }),
        at < 0 && [h("p", { class: "job-step" }), h("progress", { max: 1, "aria-label": "How far it is" })]),
      h("div", { class: "job-acts" },
        movable && [move("top", "To the front", "top", 0, at === 0), move("up", "Earlier", "up", at - 1, at === 0), move("down", "Later", "down", at + 1, at === last)],
        may("POST /v1/queue/cancel") && button("", { icon: icon("close"), quiet: true, data: { key: `${id}-cancel` }, "aria-label": `Cancel: ${name}`, title: "Cancel", on: { click: () => this.cancel(id) } })));
    if (movable) this.drag(el, id, at);
    if (at < 0) this.drawProgress(el, this.context.runs.find(id));
    return el;
  }

  drag(el, id, at) {
    el.addEventListener("dragstart", (e) => {
      this.dragged = id;
      e.dataTransfer.effectAllowed = "move";
      e.dataTransfer.setData("text/plain", id);
    });
    el.addEventListener("dragover", (e) => {
      if (!this.dragged || this.dragged === id) return;
      e.preventDefault();
      el.dataset.over = "true";
    });
    el.addEventListener("dragleave", () => { delete el.dataset.over; });
    el.addEventListener("dragend", () => { this.dragged = null; });
    el.addEventListener("drop", (e) => {
      if (!this.dragged) return;
      e.preventDefault();
      this.move(this.dragged, at);
      this.dragged = null;
    });
  }

  progress(run) {
    const el = this.running.querySelector(`[data-id="${CSS.escape(run.id)}"]`);
    if (el) this.drawProgress(el, run);
  }

  drawProgress(el, run) {
    if (!run?.start) return;
    const n = run.nodes.get(run.node);
    el.querySelector("progress").value = share(run);
    el.querySelector(".job-step").textContent = run.node ? `${title(run.graph, run.node, this.context.info())}${n?.max > 1 ? `, ${n.value} of ${n.max}` : ""}` : "Starting";
  }

  /** poll asks how far a job of somebody else is, of which this page hears nothing. */
  async poll() {
    for (const [, id] of this.now ?? []) {
      if (this.context.runs.find(id)?.start) continue;
      try {
        const { progress } = await get(`api/jobs/${id}`, { progress: "true" });
        const el = this.running.querySelector(`[data-id="${CSS.escape(id)}"]`);
        if (!el || !progress) continue;
        el.querySelector("progress").value = progress.percent / 100;
        el.querySelector(".job-step").textContent = [`${Math.round(progress.percent)} %`, progress.eta_seconds > 1 && `about ${duration(progress.eta_seconds * 1000)} left`].filter(Boolean).join(", ");
      } catch {
        this.read(); // it has ended meanwhile
      }
    }
  }

  /** act changes the queue; changes are sent one after the other, in the order in which they were asked for. */
  act(doing, what, done) {
    this.acting = (this.acting ?? Promise.resolve()).then(() => this.change(doing, what, done));
    return this.acting;
  }

  async change(doing, what, done) {
    try {
      await what();
      if (done) say(done);
    } catch (error) {
      if (error.status !== 404) trouble(doing, error);
    }
    await this.load();
  }

  move(id, position) {
    return this.act("Moving the job", () => post("api/v1/queue/move", { prompt_id: id, position }), `Moved to place ${position + 1}.`);
  }

  cancel(id) {
    return this.act("Cancelling", () => post("api/v1/queue/cancel", { prompt_id: id }), "Cancelled.");
  }

  empty() {
    return this.act("Clearing the queue", () => post("queue", { clear: true }), "The queue is cleared.");
  }

  hold() {
    const paused = this.figures?.paused;
    return this.act(paused ? "Going on" : "Pausing", () => post(`api/v1/queue/${paused ? "resume" : "pause"}`), paused ? "The queue goes on." : "The queue is paused.");
  }
}
