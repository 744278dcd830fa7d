// The form of a workflow: the inputs that people want first, the rest folded by node.
import { button, fill, h } from "./dom.js";
import { makeField, newSeed } from "./fields.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { addLora, isLora, loraNames, removeLora } from "./loras.js";
import { declared, isWidget, plan, standard, staysByDefault } from "./specs.js";
import { title } from "./workflow.js";

// What the size presets offer: the sizes that SD 1.5, SDXL and newer models were trained with.
const sizes = [[512, 512], [512, 768], [768, 512], [768, 768], [1024, 1024], [832, 1216], [1216, 832], [768, 1344], [1344, 768]];

/** Form shows a graph and writes what is entered into it. It tells "edit" after every change. */
export class Form extends EventTarget {
  constructor() {
    super();
    this.el = h("div", { class: "form" });
    this.graph = {};
    this.info = {};
    this.locks = {};
    this.rows = [];
    this.faults = new Map();
    this.fresh = true;
  }

  /** load shows a graph; locks says which seeds stay ("id/name": true). */
  load(graph, info, locks = {}) {
    Object.assign(this, { graph, info, locks: { ...locks }, fresh: true });
    this.draw();
  }

  draw() {
    const opened = new Set([...this.el.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    this.rows = [];
    this.faults.clear();
    const { main, nodes } = plan(this.graph, this.info);
    this.missingTypes = [...new Set(nodes.filter((n) => !n.known).map((n) => n.type))];
    const groups = main.map((g) => this.group(g));
    const rest = nodes.map((n) => this.node(n, opened));
    const filled = nodes.filter((n) => n.fields.length).length;
    const all = h("details", { class: "more", data: { key: "all" } },
      h("summary", {}, h("span", { text: "All nodes" }), h("span", { class: "count", text: many(filled, "node") })), rest);
    all.open = opened.has("all") || !main.length;
    fill(this.el, groups, all);
    this.dispatchEvent(new Event("draw"));
  }

  group(g) {
    const body = h("div", { class: "fields" }, g.fields.map((f) => this.row(f)));
    const heading = h("div", { class: "group-head" }, h("h2", { text: g.name }),
      g.name === "Size" && h("div", { class: "row" }, this.presets(g.fields), this.swap(g.fields)), g.name === "Model" && this.loras());
    return h("section", { class: ["card", `group-${g.name.toLowerCase()}`], "aria-label": g.name }, heading, body);
  }

  swap(fields) {
    const [w, t] = ["width", "height"].map((n) => fields.filter((f) => f.name === n));
    if (w.length !== 1 || t.length !== 1) return null;
    return button("", {
      quiet: true, icon: icon("swap"), "aria-label": "Swap width and height", title: "Swap width and height", on: {
        click: () => {
          const [a, b] = [this.read(w[0]), this.read(t[0])];
          this.write(w[0], b);
          this.write(t[0], a);
          for (const r of this.rows) if (r.field === w[0] || r.field === t[0]) r.update(this.read(r.field));
        },
      },
    });
  }

  /** presets is a choice of usual sizes; null where there is not exactly one width and one height. */
  presets(fields) {
    const [w, t] = ["width", "height"].map((n) => fields.filter((f) => f.name === n));
    if (w.length !== 1 || t.length !== 1) return null;
    const pair = [w[0], t[0]];
    const select = h("select", { class: "presets", "aria-label": "Size presets", title: "Size presets" },
      h("option", { text: "Presets", value: "" }), sizes.map((s) => h("option", { text: s.join(" × ") })));
    select.addEventListener("change", () => {
      const size = sizes[select.selectedIndex - 1];
      select.selectedIndex = 0;
      if (!size) return;
      pair.forEach((f, i) => {
        this.write(f, size[i]);
        for (const r of this.rows) if (r.field === f) { r.update(size[i]); this.fault(r, `${f.id}/${f.name}`, ""); }
      });
    });
    return select;
  }

  /** loras is a choice that adds a LoRA to the graph, with a button for each that it has. */
  loras() {
    const names = loraNames(this.info);
    const used = Object.keys(this.graph).filter((id) => isLora(this.graph[id]));
    if (!names.length && !used.length) return null;
    const select = h("select", { class: "presets", "aria-label": "Add a LoRA", title: "Add a LoRA" }, h("option", { text: "Add a LoRA", value: "" }), names.map((n) => h("option", { text: n })));
    select.addEventListener("change", () => {
      const name = names[select.selectedIndex - 1];
      select.selectedIndex = 0;
      const id = name === undefined ? null : addLora(this.graph, this.info, name);
      if (id === null) return;
      this.changed();
      this.draw();
      this.rows.find((r) => r.field.id === id && r.field.name === "strength_model")?.focus();
    });
    const remove = (id) => button("", {
      quiet: true, icon: icon("trash"), "aria-label": `Remove the LoRA ${this.graph[id].inputs.lora_name}`, title: `Remove ${this.graph[id].inputs.lora_name}`,
      on: { click: () => { removeLora(this.graph, id); this.changed(); this.draw(); } },
    });
    return h("div", { class: "row" }, names.length > 0 && select, used.map(remove));
  }

  node(n, opened) {
    const key = `node-${n.id}`;
    if (!n.fields.length) return null;
    const el = h("details", { class: "node", data: { key, id: n.id } },
      h("summary", {}, h("span", { class: "node-title", text: n.title }), h("span", { class: "node-type", text: `${n.type} · ${n.id}` })),
      h("div", { class: "fields" }, n.fields.map((f) => this.row(f))));
    el.open = opened.has(key);
    return el;
  }

  row(f) {
    const key = `${f.id}/${f.name}`;
    const [from] = f.kind === "link" ? f.value : [];
    const row = makeField(f, {
      locked: this.locks[key] ?? staysByDefault(f),
      source: f.kind === "link" ? this.source(f.value, from) : "",
      lock: (on) => {
        this.locks[key] = on;
        this.changed();
      },
      change: (v) => this.write(f, v),
      invalid: (text) => this.fault(row, key, text),
    });
    this.rows.push(row);
    return row.el;
  }

  source([, output], from) {
    const node = this.graph[from];
    if (!node) return `From node ${from}, which is missing`;
    const names = this.info[node.class_type]?.output_name ?? [];
    return `From ${title(this.graph, from, this.info)}${names.length > 1 && names[output] ? `, ${names[output]}` : ""}`;
  }

  read(f) {
    return this.graph[f.id].inputs[f.name] ?? f.value;
  }

  write(f, v) {
    this.graph[f.id].inputs[f.name] = v;
    if (f.kind === "seed") this.fresh = true; // a seed that was entered is the next run's
    if (f.kind === "variant") this.choose(f, v);
    this.changed();
  }

  /** choose puts the inputs of another variant in the place of the old one's. */
  choose(f, key) {
    const inputs = this.graph[f.id].inputs;
    for (const name of Object.keys(inputs)) if (name.startsWith(`${f.name}.`)) delete inputs[name];
    for (const [name, type, options] of declared(this.info[f.type], { ...inputs, [f.name]: key })) {
      if (name.startsWith(`${f.name}.`) && isWidget(type, options)) inputs[name] = standard(type, options);
    }
    this.draw();
    this.rows.find((r) => r.field.id === f.id && r.field.name === f.name)?.focus();
  }

  changed() {
    this.dispatchEvent(new Event("edit"));
  }

  fault(row, key, text) {
    if (text) this.faults.set(key, text);
    else this.faults.delete(key);
    row?.complain(text);
  }

  /** roll gives every seed that is not kept a new value, unless none was used yet since the last change. */
  roll() {
    if (this.fresh) {
      this.fresh = false;
      return;
    }
    for (const r of this.rows) {
      const f = r.field;
      if (f.kind !== "seed" || (this.locks[`${f.id}/${f.name}`] ?? staysByDefault(f))) continue;
      const v = newSeed(f.options.max);
      this.graph[f.id].inputs[f.name] = v;
      r.update(v);
    }
    this.changed();
  }

  /** calm takes the server's complaints off again; those about what is entered stay. */
  calm() {
    for (const r of this.rows) r.complain(this.faults.get(`${r.field.id}/${r.field.name}`));
  }

  /** complain shows what is wrong with an input and returns the row, or the node's, or null. */
  complain(node, input, text) {
    const row = this.rows.find((r) => r.field.id === node && r.field.name === input) ?? this.rows.find((r) => r.field.id === node);
    if (row && row.field.name === input) row.complain(text);
    return row ?? null;
  }

  /** show unfolds what hides a row and puts the focus there. */
  show(row) {
    for (let d = row.el.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    row.el.scrollIntoView({ block: "center" });
    row.focus();
  }

  /** firstFault returns the first row whose entry is wrong. */
  firstFault() {
    return this.rows.find((r) => this.faults.has(`${r.field.id}/${r.field.name}`)) ?? null;
  }
}
