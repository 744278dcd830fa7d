// The state of the server: health, memory over time, versions.
import { get, post } from "./api.js";
import { notice, trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { Chart } from "./chart.js";
import { bytes, duration, many } from "./format.js";
import { icon } from "./icons.js";

const every = 2000; // while it is looked at
const seldom = 10_000; // while it is not, so that there is something to see

/** Health is that page. */
export class Health {
  constructor(context) {
    this.context = context;
    this.title = "Health";
    this.state = h("p", { class: "verdict" });
    this.charts = h("div", { class: "charts" });
    this.facts = h("dl", { class: "facts wide" });
    this.el = h("section", { class: "page" },
      h("div", { class: "page-head" }, h("h1", { text: "Health", tabindex: -1 }),
        h("div", { class: "row" }, this.freeButton = button("Free memory", { icon: icon("refresh"), title: "Unloads models and clears cached results", on: { click: () => this.free() } }))),
      this.state, this.charts, this.facts);
    this.lines = new Map();
    document.addEventListener("visibilitychange", () => this.plan());
    this.plan();
  }

  show() {
    this.freeButton.hidden = !this.context.me.admin; // the server hears administrators only: models are shared by all
    this.shown = true;
    this.plan();
    return this.read();
  }

  hide() {
    this.shown = false;
    this.plan();
  }

  /** plan reads on only while somebody can see the page. */
  plan() {
    clearInterval(this.timer);
    if (document.visibilityState === "visible") this.timer = setInterval(() => (this.shown ? this.read() : this.watch()), this.shown ? every : seldom);
  }

  async watch() {
    const stats = await get("system_stats").catch(() => null);
    if (stats) this.measure(stats);
  }

  async free() {
    try {
      await post("free", { unload_models: true, free_memory: true });
      notice("Memory is freed as soon as nothing runs.");
    } catch (error) {
      trouble("Freeing memory", error);
    }
  }

  async read() {
    const [health, stats] = await Promise.all([get("health").catch((e) => e.body ?? { status: "unreachable", error: e.message }), get("system_stats").catch(() => null)]);
    this.verdict(health);
    if (stats) this.measure(stats);
    this.tell(health, stats);
  }

  verdict(health) {
    const well = health.status === "ok" || health.status === "healthy";
    this.state.dataset.state = well ? "good" : "bad";
    const text = health.status === "degraded" ? `Degraded: ${health.error}` : `Unhealthy: ${health.error ?? health.status}`;
    fill(this.state, icon(well ? "check" : "warn"), h("span", { text: well ? "Healthy" : text }));
  }

  measure(stats) {
    const now = Date.now();
    const { ram_total: total, ram_free: left } = stats.system;
    this.chart("ram", "System memory", [["In use", total - left]], total, now);
    (stats.devices ?? []).forEach((d, i) => {
      if (d.type === "cpu") return; // the machine's own memory again
      this.chart(`d${i}`, `Memory of ${d.name}`, [["In use", d.vram_total - d.vram_free], ["By models", d.torch_vram_total - d.torch_vram_free]], d.vram_total, now);
    });
  }

  chart(key, label, values, limit, now) {
    if (!this.lines.has(key)) {
      const chart = new Chart(label, values.map(([name], i) => ({ name, color: `chart-${i + 1}` })), { format: bytes });
      this.lines.set(key, chart);
      this.charts.append(h("div", { class: "card" }, chart.el));
    }
    this.lines.get(key).add(now, values.map(([, v]) => v), limit);
  }

  tell(health, stats) {
    const rows = [];
    const row = (name, v) => v !== undefined && v !== null && v !== "" && rows.push([name, String(v)]);
    row("Version", stats && stats.system.python_version);
    row("API version", stats && `ComfyUI ${stats.system.comfyui_version}`);
    row("Frontend package", stats?.system.comfy_package_versions?.find((p) => p.name === "comfyui-frontend-package")?.installed);
    row("Device", stats?.devices?.map((d) => d.name).join(", ") || health.device);
    row("Uptime", health.uptime_seconds && duration(health.uptime_seconds * 1000));
    row("Queue", health.queue && `${health.queue.running} running, ${health.queue.pending} waiting${health.queue.paused ? ", paused" : ""}`);
    row("Queue storage", health.queue?.durable === undefined ? null : health.queue.durable ? "file, kept over restarts" : "memory, lost at a restart");
    row("Connected clients", health.clients);
    row("Process memory", health.process && bytes(health.process.heap_bytes));
    row("Networks loaded", health.runtime && many(health.runtime.networks, "network"));
    row("Model weights", health.runtime && bytes(health.runtime.weight_bytes));
    row("ONNX Runtime", health.runtime?.onnxruntime || stats?.system.pytorch_version);
    row("Command line", stats?.system.argv?.slice(1).join(" "));
    fill(this.facts, rows.map(([k, v]) => h("div", {}, h("dt", { text: k }), h("dd", { text: v }))));
  }
}
