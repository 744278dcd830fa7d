// Parts that lists and forms of the page /manage are made of.
import { trouble } from "./announce.js";
import { button, fill, h, uid } from "./dom.js";
import { icon } from "./icons.js";

/** table makes a list: columns are [label, cell(row)], where a cell is what h takes, or {el, class}. */
export function table(label, columns, rows, look = () => ({})) {
  return h("div", { class: "card list-card" }, h("div", { class: "table-box" }, h("table", { class: "list", "aria-label": label },
    h("thead", {}, h("tr", {}, columns.map(([name]) => h("th", { scope: "col" }, name || h("span", { class: "sr-only", text: "Actions" }))))),
    h("tbody", {}, rows.map((row) => h("tr", look(row), columns.map(([name, cell]) => {
      const made = cell(row);
      const plain = made instanceof Node || typeof made !== "object" || made === null || Array.isArray(made);
      const { el, class: name2 } = plain ? { el: made } : made;
      return h("td", { class: name2, data: { label: name } }, el !== false && el !== "" && h("div", {}, el)); // one box, so that narrow screens can put the label beside it
    })))))));
}

/** labelled puts a label before a control. */
export function labelled(text, control, hint) {
  control.id ||= uid("c");
  const note = hint && h("p", { class: "hint", id: `${control.id}-h`, text: hint });
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { class: "field-label", for: control.id, text }), control, note);
}

/** select makes a choice of [value, label] pairs. */
export function select(pairs, value, props = {}) {
  const el = h("select", props, pairs.map(([v, label]) => h("option", { value: v, text: label })));
  el.value = value;
  return el;
}

/** dialog opens a sheet with a heading and returns {el, close}; whoever opened it has the focus back afterwards. */
export function dialog(heading, ...content) {
  const id = uid("d");
  const el = h("dialog", { class: "sheet", "aria-labelledby": id },
    h("div", { class: "sheet-head" }, h("h2", { id, text: heading }),
      button("", { icon: icon("close"), quiet: true, "aria-label": "Close", on: { click: () => el.close() } })), content);
  el.addEventListener("close", () => el.remove());
  document.body.append(el);
  el.showModal();
  return { el, close: () => el.close() };
}

/** form opens a sheet with fields; done(close) does the work when it is sent, and what it throws is shown in the sheet. */
export function form(heading, label, fields, done) {
  const error = h("p", { class: "form-error", role: "alert" });
  const send = h("button", { type: "submit", class: "btn primary", text: label });
  const el = h("form", { class: "form-grid", novalidate: true }, fields, error, h("div", { class: "form-acts" }, button("Cancel", { on: { click: () => sheet.close() } }), send));
  el.addEventListener("submit", async (e) => {
    e.preventDefault();
    send.disabled = true;
    error.textContent = "";
    try {
      await done();
      sheet.close();
    } catch (cause) {
      error.textContent = cause.message;
    }
    send.disabled = false;
  });
  const sheet = dialog(heading, el);
  el.querySelector("input, select, textarea")?.focus();
  return sheet;
}

/** confirm asks before something that cannot be undone; act is done on yes. */
export function confirm(heading, text, label, act) {
  const yes = button(label, { danger: true, on: { click: async () => {
    sheet.close();
    try {
      await act();
    } catch (error) {
      trouble(label, error);
    }
  } } });
  const sheet = dialog(heading, h("p", { class: "lead", text }), h("div", { class: "form-acts" }, button("Cancel", { on: { click: () => sheet.close() } }), yes));
}

/** head makes a view's heading with its buttons. */
export function head(title, ...buttons) {
  return h("div", { class: "page-head" }, h("h1", { text: title, tabindex: -1 }), h("div", { class: "row" }, buttons));
}

/** empty says that a list has nothing. */
export function empty(shape, heading, text) {
  return h("div", { class: "empty" }, icon(shape), h("h2", { text: heading }), h("p", { text }));
}

/** View is a view with a list that is read anew whenever it is shown: subclasses have title, lead, read and draw. */
export class View {
  constructor(context) {
    this.context = context;
    this.body = h("div", {});
    this.el = h("section", { class: "page" });
  }

  async show() {
    if (!this.el.childElementCount) fill(this.el, this.head(), this.lead && h("p", { class: "lead", text: this.lead }), this.body);
    try {
      await this.read();
    } catch (error) {
      if (error.status === 403) fill(this.body, empty("lock", "This is not for your role", error.message));
      else if (error.status !== 401) trouble(`Reading ${this.title.toLowerCase()}`, error);
      return;
    }
    this.redraw();
  }

  /** redraw draws the body anew; the focus stays on the same control, or goes to the heading when that is gone. */
  redraw() {
    const held = this.body.contains(document.activeElement) ? (document.activeElement.getAttribute("aria-label") ?? "") : null;
    fill(this.body, this.draw());
    if (held === null) return;
    const again = held && [...this.body.querySelectorAll("[aria-label]")].find((e) => e.getAttribute("aria-label") === held);
    (again || this.el.querySelector("h1")).focus({ preventScroll: true });
  }

  head() {
    return head(this.title);
  }
}
