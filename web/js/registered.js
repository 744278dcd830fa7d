// Registered workflows: run by name, with their free inputs only. For guests this is the whole of the page.
import { get } from "./api.js";
import { trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { newSeed } from "./fields.js";
import { human } from "./format.js";
import { icon } from "./icons.js";
import { labelled } from "./parts.js";
import { Stage } from "./stage.js";

/** Registered is that view. context: {runs, info(), view(run, item)}. */
export class Registered {
  constructor(context) {
    this.context = context;
    this.title = "Workflows";
    this.list = h("div", { class: "form" });
    this.stage = new Stage({ runs: context.runs, info: context.info, open: (run, item) => context.view(run, item) });
    this.el = h("div", { class: "create" },
      h("div", { class: "side" }, h("header", { class: "side-head" }, h("h1", { class: "workflow-name", text: "Workflows", tabindex: -1 })), this.list), this.stage.el);
  }

  async show() {
    try {
      this.flows = (await get("api/workflows")).workflows;
    } catch (error) {
      trouble("Reading the workflows", error);
      return;
    }
    fill(this.list, this.flows.map((w, i) => this.card(w, i === 0)));
    if (!this.flows.length) fill(this.list, h("div", { class: "empty" }, icon("list"), h("h2", { text: "Nothing to run yet" }), h("p", { text: "An administrator has to register a workflow that your role may run." })));
  }

  card(w, open) {
    const fields = w.free.map((f) => this.field(f));
    const run = h("button", { type: "submit", class: "btn primary run" }, icon("play"), h("span", { text: "Run" }));
    const el = h("details", { class: "card flow" }, h("summary", {}, h("h2", { text: w.title })),
      h("form", { class: "flow-form", "aria-label": w.title, on: { submit: (e) => { e.preventDefault(); this.run(w, fields, run); } } }, fields.map((f) => f.el),
        h("p", { class: "hint", text: "What is left empty stays as it was registered." }), run));
    el.open = open;
    return el;
  }

  /** field makes the control of a free input; of its kind only the name tells. */
  field(f) {
    const words = /text|prompt|negative|positive/i.test(f.name + f.input);
    const seed = /seed/i.test(f.input);
    const control = words ? h("textarea", { rows: 3 }) : h("input", { type: "text", inputmode: seed ? "numeric" : null, class: seed ? "mono" : null, autocomplete: "off" });
    const el = labelled(human(f.name), control);
    if (seed) {
      const dice = button("", { icon: icon("dice"), "aria-label": `${human(f.name)}: roll a new one`, title: "Roll a new seed", on: { click: () => { control.value = String(newSeed()); } } });
      el.append(h("div", { class: "seed" }, control, dice));
    }
    return { el, name: f.name, read: () => value(control.value, words) };
  }

  async run(w, fields, submit) {
    const inputs = {};
    for (const f of fields) {
      const v = f.read();
      if (v !== undefined) inputs[f.name] = v;
    }
    submit.disabled = true;
    try {
      await this.context.runs.sendRegistered(w, inputs);
      this.stage.follow();
      if (!window.matchMedia("(min-width: 62rem)").matches) window.scrollTo({ top: 0, behavior: "smooth" });
    } catch (error) {
      trouble(`Running ${w.title}`, error);
    }
    submit.disabled = false;
  }
}

/** value is what was entered: a text, a number where it is one, undefined where nothing was. */
function value(text, words) {
  if (text.trim() === "") return undefined;
  if (words || !/^\s*-?\d+(\.\d+)?\s*$/.test(text)) return text;
  const n = Number(text);
  return !text.includes(".") && !Number.isSafeInteger(n) ? BigInt(text.trim()) : n;
}
