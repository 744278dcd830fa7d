// The first page: a workflow as a form on one side, its picture on the other.
import { ApiError, get } from "./api.js";
import { notice, say, trouble } from "./announce.js";
import { button, fill, h, later } from "./dom.js";
import { Form } from "./form.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { parse, stringify } from "./json.js";
import { may, roleName } from "./me.js";
import { openDialog, refused } from "./open.js";
import { fillIn } from "./specs.js";
import { Stage } from "./stage.js";
import { starters } from "./starters.js";
import { welcome } from "./welcome.js";
import { isGraph, tidy, title } from "./workflow.js";

const storeKey = "comfygo.workflow";
const mostRuns = 50;

// The inputs that name model files of which the server says whether they can be used, with their folders.
const modelInputs = { ckpt_name: "checkpoints", unet_name: "diffusion_models", lora_name: "loras" };

/** Create is that page. context: {runs, info(), reloadInfo(), demo, view(run, item)}. */
export class Create {
  constructor(context) {
    this.context = context;
    this.title = "Create";
    this.name = "";
    this.form = new Form();
    this.stage = new Stage({
      runs: context.runs, info: context.info, open: (run, item) => context.view(run, item), goTo: (id) => this.goTo(id),
    });
    this.heading = h("h1", { class: "workflow-name", tabindex: -1 });
    this.problems = h("div", { class: "problems" });
    this.times = h("input", { type: "number", min: 1, max: mostRuns, step: 1, value: "1", id: "times", class: "times", inputmode: "numeric" });
    this.total = h("span", { class: "quiet", id: "total" });
    this.reason = h("p", { class: "hint", id: "run-reason", hidden: true });
    this.banner = h("div", { class: "banner" });
    this.times.addEventListener("input", () => this.count());
    this.runButton = button("Run", { primary: true, class: "run", id: "run", icon: icon("play"), title: "Run (Ctrl+Enter)", "aria-keyshortcuts": "Control+Enter", on: { click: () => this.run() } });
    this.main = h("div", { class: "create" },
      h("div", { class: "side" },
        h("header", { class: "side-head" }, this.heading,
          h("div", { class: "row" },
            button("Open", { icon: icon("open"), id: "open", on: { click: () => this.open() } }),
            button("", { icon: icon("save"), "aria-label": "Save the workflow as a file", title: "Save as a file", on: { click: () => this.save() } }))),
        this.banner, this.problems, this.form.el,
        h("div", { class: "run-bar" }, this.runButton, h("label", { class: "times-label", for: "times", text: "Runs" }), this.times, this.total, this.reason)),
      this.stage.el);
    this.el = h("div", {});
    this.form.addEventListener("edit", later(() => this.keep(), 300));
    this.form.addEventListener("edit", () => { this.judge(); this.count(); });
    this.form.addEventListener("draw", () => { this.judge(); this.count(); });
    window.addEventListener("pagehide", () => this.main.isConnected && this.keep());
    context.runs.addEventListener("end", (e) => this.ended(e.detail));
    document.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || !(e.ctrlKey || e.metaKey) || e.altKey || !this.main.isConnected || document.querySelector("dialog[open]")) return;
      e.preventDefault();
      this.run();
    });
  }

  show() {
    if (!this.started) this.begin();
  }

  /** begin shows what was edited last, or a workflow to start with, or what is missing for one. */
  begin() {
    this.started = true;
    const kept = this.kept();
    const first = kept ?? this.starters()[0];
    if (first) this.load(tidy(first.graph), first.name, first.locks);
    else this.welcome();
  }

  starters() {
    return starters(this.context.info(), this.context.demo, this.context.described);
  }

  kept() {
    try {
      const kept = parse(localStorage.getItem(storeKey) ?? "null");
      return isGraph(kept?.graph) ? kept : null;
    } catch {
      return null;
    }
  }

  keep() {
    try {
      localStorage.setItem(storeKey, stringify({ graph: this.form.graph, name: this.name, locks: this.form.locks }));
    } catch {
      // it is not kept then: too large, or storage is forbidden
    }
  }

  async welcome() {
    let folders = {};
    try {
      if (this.context.me.admin) folders = await get("internal/folder_paths");
    } catch {
      // the page says what it can without
    }
    fill(this.el, welcome(folders, {
      info: this.context.info, open: () => this.open(),
      look: async () => {
        await this.context.reloadInfo();
        const first = this.starters()[0];
        if (first) this.load(tidy(first.graph), first.name);
        else notice("There is still no checkpoint in its folder.", { kind: "info" });
      },
    }));
  }

  load(graph, name, locks) {
    this.started = true;
    this.name = String(name || "Workflow");
    fillIn(graph, this.context.info());
    if (!this.main.isConnected) fill(this.el, this.main);
    this.heading.textContent = this.name;
    this.heading.title = this.name;
    fill(this.problems);
    this.stage.clear();
    this.form.load(graph, this.context.info(), locks);
    this.keep();
  }

  /** take loads a graph that is still on its way. */
  async take(promise, name) {
    try {
      const graph = await promise;
      this.load(graph, String(name ?? "").replace(/\.(json|png|webp|jpe?g|latent)$/i, ""));
      location.hash = "#/";
      say(`Opened ${this.name}, ${many(Object.keys(graph).length, "node")}.`);
      window.scrollTo(0, 0);
      this.heading.focus({ preventScroll: true });
    } catch (error) {
      refused(name, error);
    }
  }

  open() {
    openDialog({ registered: this.context.me.mode === "store", starters: () => this.starters(), take: (p, n) => this.take(p, n) });
  }

  save() {
    const url = URL.createObjectURL(new Blob([stringify(this.form.graph, 2)], { type: "application/json" }));
    h("a", { href: url, download: `${this.name.replace(/[^\w. -]+/g, "_") || "workflow"}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  /** count tells how many images all runs make, where that is not plain. */
  count() {
    const runs = Math.min(mostRuns, Math.max(1, Math.floor(Number(this.times.value)) || 1));
    const batch = Object.values(this.form.graph).reduce((most, n) => Math.max(most, Number(n.inputs.batch_size) || 1), 1);
    this.total.textContent = runs > 1 && batch > 1 ? `× ${batch} images = ${runs * batch}` : "";
  }

  /** judge tells at the top what of the workflow this server cannot run, and keeps Run from being pressed then. */
  judge() {
    const types = this.form.missingTypes ?? [];
    const faults = types.length ? [`This server does not have ${types.length === 1 ? "the node" : "the nodes"} ${types.join(", ")}`] : [];
    for (const node of Object.values(this.form.graph)) {
      for (const [input, kind] of Object.entries(modelInputs)) {
        const problem = this.context.problem?.(kind, node.inputs[input]);
        if (problem) faults.push(`${node.inputs[input]} cannot be used: ${problem}`);
      }
    }
    fill(this.banner, faults.length > 0 && h("div", { class: "note bad", role: "note" }, icon("warn"),
      h("div", {}, h("p", {}, h("strong", { text: "This workflow cannot run here" })), h("ul", {}, faults.map((text) => h("li", { text }))))));
    const allowed = may("POST /prompt");
    this.runButton.disabled = faults.length > 0 || !allowed;
    this.runButton.setAttribute("aria-describedby", "run-reason");
    const reason = allowed ? faults[0] : `the role ${roleName()} may not run workflows.`;
    this.reason.hidden = !reason;
    this.reason.textContent = reason ? `Run is off: ${reason}` : "";
  }

  async run() {
    if (this.sending || this.runButton.disabled) return;
    const wrong = this.form.firstFault();
    if (wrong) {
      this.form.show(wrong);
      return;
    }
    this.sending = true;
    this.runButton.setAttribute("aria-busy", "true");
    fill(this.problems);
    this.form.calm();
    const times = Math.min(mostRuns, Math.max(1, Math.floor(Number(this.times.value)) || 1));
    this.times.value = String(times);
    try {
      for (let i = 0; i < times; i++) {
        this.form.roll();
        const { warnings } = await this.context.runs.send(this.form.graph, this.name);
        this.stage.follow();
        if (!window.matchMedia("(min-width: 62rem)").matches) window.scrollTo({ top: 0, behavior: "smooth" }); // the stage is above the form there
        if (Object.keys(warnings).length) this.refuse({ node_errors: warnings });
      }
    } catch (error) {
      if (error instanceof ApiError && error.body?.error) this.refuse(error.body);
      else trouble("Running", error);
    }
    this.sending = false;
    this.runButton.removeAttribute("aria-busy");
  }

  /** refuse shows the server's complaints: each at its input, and all of them in a list above. */
  refuse(body) {
    const items = [];
    for (const [id, about] of Object.entries(body.node_errors ?? {})) {
      for (const e of about.errors ?? []) items.push(this.complaint(id, e));
    }
    const general = body.error?.message ?? "";
    const list = items.length ? items : [h("li", { text: [general, body.error?.details].filter(Boolean).join(": ") })];
    const shown = items.length > 0 && items.every((li) => li.querySelector("button")); // each in red at its input already
    fill(this.problems, h("div", { class: ["note", !shown && "bad"], role: "alert" }, icon("warn"), h("div", {},
      h("p", {}, h("strong", { text: items.length ? `${many(items.length, "input")} to look at` : "The server refuses this workflow" })), h("ul", {}, list))));
    this.problems.scrollIntoView({ block: "nearest" });
  }

  complaint(id, e) {
    const name = e.extra_info?.input_name;
    const detail = e.details && !e.message?.includes(e.details) ? ` (${e.details})` : "";
    const row = this.form.complain(id, name, `${e.message}${detail}`);
    const text = `${title(this.form.graph, id, this.context.info())}${row && name ? `, ${row.field.name === name ? row.field.label : name}` : ""}: ${e.message}${detail}`;
    return h("li", {}, row ? button(text, { class: "as-link", on: { click: () => this.form.show(row) } }) : text);
  }

  goTo(id) {
    const row = this.form.rows.find((r) => r.field.id === String(id) && r.field.kind !== "link") ?? this.form.rows.find((r) => r.field.id === String(id));
    if (row) this.form.show(row);
  }

  ended(run) {
    if (run.state !== "failed" || !this.main.isConnected) return;
    document.getElementById("alert").textContent = `${title(run.graph, run.error?.node_id, this.context.info())} has failed: ${run.error?.exception_message ?? ""}`;
  }

  /** refresh takes over node lists that have changed: new models, uploaded pictures. */
  refresh() {
    if (!this.main.isConnected || this.main.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return;
    this.form.info = this.context.info();
    this.form.draw();
  }
}
