// The audit log: user, action, address and result of each event.
import { get } from "./api.js";
import { trouble } from "./announce.js";
import { button, h, later } from "./dom.js";
import { icon } from "./icons.js";
import { empty, head, labelled, select, table, View } from "./parts.js";

const actions = ["login", "logout", "authenticate", "lock-out", "token", "key", "user", "role", "workflow", "request", "run", "delete"];
const page = 50;

/** Audit is that view. */
export class Audit extends View {
  title = "Audit";
  lead = "Actions, newest first. Keys and prompts are never logged.";

  head() {
    const change = later(() => this.show(), 250);
    this.action = select([["", "Everything"], ...actions.map((a) => [a, a])], "", { on: { change } });
    this.result = select([["", "Any"], ["ok", "ok"], ["denied", "denied"], ["failed", "failed"]], "", { on: { change } });
    this.owner = h("input", { type: "search", autocomplete: "off", on: { input: change } });
    this.text = h("input", { type: "search", autocomplete: "off", on: { input: change } });
    return [head(this.title, button("Refresh", { icon: icon("refresh"), on: { click: () => this.show() } })),
      h("div", { class: "filters", role: "search", "aria-label": "Filters" }, labelled("Action", this.action), labelled("Result", this.result), labelled("User", this.owner), labelled("Search", this.text))];
  }

  query(below) {
    const words = { action: this.action.value, result: this.result.value, owner: this.owner.value.trim(), text: this.text.value.trim() };
    return { ...Object.fromEntries(Object.entries(words).filter(([, v]) => v)), limit: page, below };
  }

  async read() {
    const answer = await get("api/auth/audit", this.query());
    this.events = answer.events;
    this.below = answer.below;
  }

  draw() {
    if (!this.events.length) return empty("list", "No matching events", "Change the search or the filters.");
    return [table("Events", [
      ["Time", (e) => h("time", { datetime: e.time, text: new Date(e.time).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium", hour12: false }) })],
      ["Action", (e) => ({ el: e.action, class: "main" })],
      ["Result", (e) => h("span", { class: ["tag", e.result === "ok" ? "good" : "bad"], text: e.result })],
      ["User", (e) => [e.name || e.owner || "not signed in", e.address && h("p", { class: "hint", text: e.address })]],
      ["Target", (e) => e.target ?? ""],
      ["Detail", (e) => e.detail ?? ""],
    ], this.events, (e) => ({ data: { number: e.number } })), this.below && button("Show older", { class: "center", on: { click: () => this.older() } })];
  }

  async older() {
    try {
      const answer = await get("api/auth/audit", this.query(this.below));
      this.events.push(...answer.events);
      this.below = answer.below;
    } catch (error) {
      trouble("Reading the audit log", error);
    }
    this.redraw();
  }
}
