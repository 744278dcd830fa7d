// The controls of a form, one for each kind of input. A control tells what was entered by change(value) and knows how to
// show an error; what becomes of the value is the form's matter.
import { button, h, uid } from "./dom.js";
import { icon } from "./icons.js";
import { pictureControl } from "./picturefield.js";

const finest = 200; // the most steps that a slider is of use for

/**
 * makeField makes the row of an input: {el, field, focus, complain, update}. hooks: change(value), lock(on) and locked for
 * seeds, source for the words of a link.
 */
export function makeField(f, hooks) {
  const id = uid("f");
  const make = kinds[f.kind] ?? kinds.json;
  const made = make(f, { ...hooks, id });
  const error = h("p", { class: "field-error", id: `${id}-e`, hidden: true });
  const hint = f.tooltip && h("span", { class: "sr-only", id: `${id}-h`, text: f.tooltip });
  const target = made.target ?? made.el;
  const describe = () => {
    const ids = [hint && hint.id, !error.hidden && error.id].filter(Boolean).join(" ");
    if (ids) target.setAttribute("aria-describedby", ids);
    else target.removeAttribute("aria-describedby");
  };
  const label = made.grouped
    ? h("span", { class: "field-label", id: `${id}-l`, text: f.label, title: f.tooltip || null })
    : h("label", { class: "field-label", for: id, text: f.label, title: f.tooltip || null });
  const el = h("div", { class: ["field", `field-${f.kind}`, made.wide && "wide"], data: { node: f.id, input: f.name } }, label, made.el, hint, error);
  describe();
  return {
    el,
    field: f,
    focus: () => target.focus(),
    update: made.update ?? (() => {}),
    complain(text) {
      error.textContent = text ?? "";
      error.hidden = !text;
      if (text) target.setAttribute("aria-invalid", "true");
      else target.removeAttribute("aria-invalid");
      describe();
    },
  };
}

const kinds = {
  __proto__: null,
  words(f, { id, change }) {
    const el = h("textarea", { id, rows: 3, spellcheck: "true", value: String(f.value ?? ""), on: { input: () => change(el.value) } });
    return { el, wide: true, update: (v) => { el.value = v; } };
  },
  text(f, { id, change }) {
    const el = h("input", { id, type: "text", value: String(f.value ?? ""), autocomplete: "off", on: { input: () => change(el.value) } });
    return { el, update: (v) => { el.value = v; } };
  },
  int: (f, hooks) => numberControl(f, hooks, (text) => wholeNumber(text)),
  float: (f, hooks) => numberControl(f, hooks, (text) => (text.trim() === "" ? null : Number(text))),
  seed: seedControl,
  switch(f, { id, change }) {
    const el = h("input", { id, type: "checkbox", class: "switch", role: "switch", on: { change: () => change(el.checked) } });
    el.checked = Boolean(f.value);
    return { el, update: (v) => { el.checked = Boolean(v); } };
  },
  color(f, { id, change }) {
    const el = h("input", { id, type: "color", value: String(f.value ?? "#000000"), on: { input: () => change(el.value) } });
    return { el };
  },
  choice: choiceControl,
  variant: choiceControl,
  several(f, { id, change }) {
    const chosen = new Set(Array.isArray(f.value) ? f.value : [f.value]);
    const el = h("select", { id, multiple: true, size: Math.min(6, Math.max(2, f.choices.length)), on: { change: () => change([...el.selectedOptions].map((o) => f.choices[o.index])) } },
      f.choices.map((c) => h("option", { text: String(c), selected: chosen.has(c) })));
    return { el, wide: true };
  },
  picture: pictureControl,
  link(f, { id, source }) {
    const el = h("p", { id: `${id}-t`, class: "linked" }, icon("link"), h("span", { text: source }));
    return { el, grouped: true };
  },
  socket() {
    return { el: h("p", { class: "linked missing" }, icon("warn"), h("span", { text: "Not connected" })), grouped: true };
  },
  json(f, { id, change, invalid }) {
    const el = h("textarea", { id, rows: 2, class: "mono", spellcheck: "false", value: JSON.stringify(f.value, (_, v) => (typeof v === "bigint" ? String(v) : v)) ?? "" });
    el.addEventListener("input", () => {
      try {
        change(JSON.parse(el.value));
        invalid("");
      } catch {
        invalid("This is no JSON.");
      }
    });
    return { el, wide: true };
  },
};

function wholeNumber(text) {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) return null;
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : BigInt(text.trim());
}

/** rangeFault says what is wrong with a number for a field; "" when nothing is. */
function rangeFault(f, v) {
  if (v === null || (typeof v === "number" && !Number.isFinite(v))) return f.kind === "float" ? "A number is needed here." : "A whole number is needed here.";
  const { min, max } = f.options;
  if (min !== undefined && v < min) return `The least is ${min}.`;
  if (max !== undefined && v > max) return `The most is ${max}.`;
  return "";
}

function numberControl(f, { id, change, invalid }, read) {
  const { min, max } = f.options;
  const step = f.options.step ?? (f.kind === "int" ? 1 : 0.01);
  const attributes = { min, max, step };
  const el = h("input", { id, type: "number", inputmode: f.kind === "int" ? "numeric" : "decimal", ...attributes, value: String(f.value ?? ""), autocomplete: "off" });
  const slides = f.kind === "float" && min !== undefined && max !== undefined && (Number(max) - Number(min)) / step <= finest;
  const slider = slides && h("input", { type: "range", ...attributes, value: String(f.value ?? 0), "aria-label": `${f.label}, slider`, tabindex: -1 });
  const take = (text) => {
    const v = read(text);
    const fault = rangeFault(f, v);
    invalid(fault);
    if (!fault) change(v);
  };
  el.addEventListener("input", () => {
    if (slider) slider.value = el.value;
    take(el.value);
  });
  if (!slider) return { el, update: (v) => { el.value = String(v); } };
  slider.addEventListener("input", () => {
    el.value = String(Number(Number(slider.value).toFixed(4)));
    take(el.value);
  });
  return { el: h("div", { class: "with-slider" }, slider, el), target: el, update: (v) => { el.value = String(v); slider.value = String(v); } };
}

/** newSeed draws a seed that every client of ComfyUI can read: below 2^50. */
export function newSeed(max = 2 ** 50) {
  const [a, b] = crypto.getRandomValues(new Uint32Array(2));
  const n = (a % 2 ** 18) * 2 ** 32 + b;
  const most = Number(max);
  return most >= 2 ** 50 ? n : n % (Math.floor(most) + 1);
}

function seedControl(f, { id, change, invalid, lock, locked }) {
  const el = h("input", { id, type: "text", inputmode: "numeric", class: "mono", value: String(f.value ?? 0), autocomplete: "off" });
  const put = (v) => {
    el.value = String(v);
    invalid("");
    change(v);
  };
  el.addEventListener("input", () => {
    const v = wholeNumber(el.value);
    const fault = rangeFault(f, v);
    invalid(fault);
    if (!fault) change(v);
  });
  const dice = button("", { icon: icon("dice"), "aria-label": `${f.label}: roll a new one`, title: "Roll a new seed", on: { click: () => put(newSeed(f.options.max)) } });
  const keep = button("", { "aria-label": `${f.label}: keep it for the next run`, class: "square" });
  const show = (on) => {
    keep.setAttribute("aria-pressed", String(on));
    keep.title = on ? "Kept: the next run uses this seed again" : "Not kept: each run rolls a new seed";
    keep.replaceChildren(icon(on ? "lock" : "unlock"));
  };
  keep.addEventListener("click", () => {
    const on = keep.getAttribute("aria-pressed") !== "true";
    show(on);
    lock(on);
  });
  show(Boolean(locked));
  return { el: h("div", { class: "seed" }, el, dice, keep), target: el, wide: true, update: (v) => { el.value = String(v); } };
}

function choiceControl(f, { id, change, invalid }) {
  const has = f.choices.some((c) => c === f.value);
  const el = h("select", { id });
  const fill = (value) => {
    const strange = !f.choices.some((c) => c === value) && value !== undefined && value !== null;
    el.replaceChildren(
      ...(strange ? [h("option", { text: `${value} (not on this server)`, class: "strange" })] : []),
      ...f.choices.map((c) => h("option", { text: String(c) })),
    );
    el.selectedIndex = strange ? 0 : Math.max(0, f.choices.indexOf(value));
    el.dataset.strange = String(strange);
  };
  fill(f.value);
  el.addEventListener("change", () => {
    const at = el.selectedIndex - (el.dataset.strange === "true" ? 1 : 0);
    if (at < 0) return;
    invalid("");
    change(f.choices[at]);
  });
  if (!has && f.value !== undefined) queueMicrotask(() => invalid(f.choices.length ? "This is not on the server. Choose another one." : "There is none on the server."));
  return { el, update: fill };
}
