// Registered workflows: graphs with a name, of which only some inputs are free.
import { del, get, put } from "./api.js";
import { notice } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { when } from "./managekeys.js";
import { fromFile } from "./open.js";
import { confirm, empty, form, head, labelled, table, View } from "./parts.js";
import { fieldsOf, isChoosable } from "./specs.js";
import { order, roles, tidy, title } from "./workflow.js";

/** Flows is that view. */
export class Flows extends View {
  title = "Workflows";
  lead = "A registered workflow is run by its name. Anyone who is limited to registered ones may change its free inputs only; a public one may be run by guests.";

  head() {
    const file = h("input", { type: "file", class: "sr-only", tabindex: -1, accept: ".json,.png,.webp,.jpg", "aria-label": "Workflow to register", id: "flow-file" });
    file.addEventListener("change", async () => {
      if (!file.files[0]) return;
      try {
        await this.edit(await fromFile(file.files[0]), { name: slug(file.files[0].name), title: "", public: false, free: null });
      } catch (error) {
        notice(error.message, { kind: "bad" });
      }
      file.value = "";
    });
    return head(this.title, this.context.me.admin && button("Register a workflow", { primary: true, icon: icon("plus"), on: { click: () => file.click() } }), this.context.me.admin && file);
  }

  async read() {
    this.flows = (await get("api/workflows")).workflows;
  }

  draw() {
    if (!this.flows.length) return empty("list", "No workflow is registered", "Choose a workflow file, or an image made with one, and say which inputs are free.");
    return table("Workflows", [
      ["Name", (w) => ({ el: [w.title, h("p", { class: "hint mono", text: w.name })], class: "main" })],
      ["Free inputs", (w) => w.free.map((f) => f.name).join(", ") || "none"],
      ["For guests", (w) => h("span", { class: ["tag", w.public && "good"], text: w.public ? "public" : "no" })],
      ["Changed", (w) => when(w.changed, "")],
      ["", (w) => ({ class: "acts", el: this.context.me.admin && [
        button("Edit", { quiet: true, "aria-label": `Edit ${w.title}`, on: { click: () => this.edit(tidy(w.graph), w) } }),
        button("Delete", { danger: true, "aria-label": `Delete ${w.title}`, on: { click: () => this.remove(w) } }),
      ] })],
    ], this.flows, (w) => ({ data: { name: w.name } }));
  }

  async edit(graph, w) {
    const info = await get("object_info");
    const name = h("input", { type: "text", value: w.name, class: "mono", maxlength: 64, autocomplete: "off", readonly: Boolean(w.created) });
    const label = h("input", { type: "text", value: w.title, maxlength: 100, autocomplete: "off" });
    const open = h("input", { type: "checkbox" });
    open.checked = w.public;
    const choices = inputs(graph, info, w.free);
    form(w.created ? `Edit ${w.title}` : "Register a workflow", w.created ? "Save" : "Register", [
      h("div", { class: "form-pair" }, labelled("Name", name, "For programs: letters, digits, - _ ."), labelled("Title", label)),
      h("label", { class: "check" }, open, h("span", { text: "Public: guests may run it" })),
      h("fieldset", { class: "field bare" }, h("legend", { class: "field-label", text: `Free inputs of ${many(Object.keys(graph).length, "node")}` }), fill(h("div", { class: "checks" }), choices.map((c) => c.el))),
    ], async () => {
      if (!name.value.trim()) throw new Error("A name is needed.");
      const free = choices.filter((c) => c.box.checked).map((c) => c.free);
      await put(`api/workflows/${encodeURIComponent(name.value.trim())}`, { title: label.value.trim(), public: open.checked, free, graph });
      notice("The workflow is registered.");
      await this.show();
    });
  }

  remove(w) {
    confirm(`Delete ${w.title}?`, "It is taken out of the register; images made with it stay.", "Delete", async () => {
      await del(`api/workflows/${encodeURIComponent(w.name)}`);
      notice("The workflow is deleted.");
      await this.show();
    });
  }
}

/** inputs lists what may be free, with a box each; texts, pictures and seeds are ticked for a new workflow. */
function inputs(graph, info, free) {
  const role = roles(graph, info);
  const taken = new Map();
  const out = [];
  for (const id of order(graph)) {
    for (const f of fieldsOf(graph, id, info, role)) {
      if (!isChoosable(f) || !(f.name in graph[id].inputs)) continue;
      const was = free?.find((x) => x.node === id && x.input === f.name);
      const box = h("input", { type: "checkbox", data: { node: id, input: f.name } });
      box.checked = free ? Boolean(was) : ["words", "picture", "seed"].includes(f.kind);
      const short = f.kind === "words" && f.role ? (f.role === "negative" ? "negative" : "prompt") : f.name;
      const name = was?.name ?? (taken.has(short) ? `${id}.${f.name}` : short);
      taken.set(short, true);
      const value = String(f.value).slice(0, 60);
      out.push({ box, free: { name, node: id, input: f.name }, el: h("label", { class: "check" }, box, h("span", {}, `${title(graph, id, info)}: ${f.label}`, h("span", { class: "hint", text: ` ${value}` }))) });
    }
  }
  return out;
}

function slug(name) {
  return name.replace(/\.\w+$/, "").toLowerCase().replace(/[^a-z0-9_.-]+/g, "-").replace(/^[^a-z0-9]+|-+$/g, "").slice(0, 64);
}
