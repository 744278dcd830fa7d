// The workers of a queue that several processes share: what each runs, has and is; letting one take no more jobs.
import { get, post } from "./api.js";
import { notice } from "./announce.js";
import { button, h } from "./dom.js";
import { bytes, duration } from "./format.js";
import { may } from "./me.js";
import { confirm, empty, table, View } from "./parts.js";

const every = 2000;
/** quiet is after how many seconds without a sign of life a worker is shown as silent: workers give one every half second. */
const quiet = 3;

/** shared tells whether the server's queue has workers of its own. */
export const shared = async () => (await get("api/workers")).shared;

/** Workers is that view; it keeps itself up to date. */
export class Workers extends View {
  title = "Workers";
  lead = "The processes that run the jobs of this queue.";

  show() {
    clearInterval(this.timer);
    this.timer = setInterval(() => document.visibilityState === "visible" && !document.querySelector("dialog[open]") && super.show(), every);
    return super.show();
  }

  hide() {
    clearInterval(this.timer);
  }

  async read() {
    const all = await get("api/workers");
    this.workers = all.workers;
    this.fleet = all.shared;
  }

  draw() {
    if (!this.workers.length) {
      return this.fleet ? empty("models", "No worker has joined", "Jobs wait until one does: comfygo --role worker --queue nats://HOST:PORT.")
        : empty("models", "This server runs all jobs itself", "A queue in NATS shares them among workers: docs/scale-out.md.");
    }
    return table("Workers", [
      ["Name", (w) => ({ el: w.name, class: "main" })],
      ["State", (w) => h("span", { class: ["tag", w.draining || w.silent_seconds > quiet ? "bad" : "good"], text: state(w) })],
      ["Job", (w) => w.prompt_id && [h("code", { class: "mono", title: w.prompt_id, text: `${w.prompt_id.slice(0, 8)}…` }), ` ${duration(w.running_seconds * 1000)}`]],
      ["Device", (w) => w.device],
      ["VRAM", (w) => w.vram_total > 0 && `${bytes(w.vram_total - w.vram_free)} of ${bytes(w.vram_total)}`],
      ["Models", (w) => w.models.length > 0 && h("span", { title: w.models.join("\n"), text: w.models.slice(0, 3).join(", ") + (w.models.length > 3 ? `, ${w.models.length - 3} more` : "") })],
      ["Labels", (w) => w.labels.join(", ")],
      ["Finished", (w) => String(w.finished)],
      ["Version", (w) => w.version + (w.keyed ? "" : " (without a key)")],
      ["", (w) => ({ class: "acts", el: w.draining
        ? may("POST /api/workers/:id/resume") && button("Resume", { "aria-label": `Resume ${w.name}`, on: { click: () => this.resume(w) } })
        : may("POST /api/workers/:id/drain") && button("Drain", { danger: true, "aria-label": `Drain ${w.name}`, on: { click: () => this.drain(w) } }) })],
    ], this.workers, (w) => ({ data: { id: w.id } }));
  }

  drain(w) {
    confirm(`Drain ${w.name}?`, "It finishes the job that it runs and takes no more until it is resumed.", "Drain", async () => {
      await post(`api/workers/${encodeURIComponent(w.id)}/drain`);
      notice(`${w.name} takes no more jobs.`);
      await this.show();
    });
  }

  async resume(w) {
    await post(`api/workers/${encodeURIComponent(w.id)}/resume`);
    notice(`${w.name} takes jobs again.`);
    await this.show();
  }
}

function state(w) {
  if (w.silent_seconds > quiet) return `silent for ${duration(w.silent_seconds * 1000)}`;
  if (w.draining) return w.prompt_id ? "draining" : "drained";
  return w.prompt_id ? "busy" : "idle";
}
