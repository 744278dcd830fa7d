// Telling: to screen readers what happens, and to everybody what went wrong.
import { button, h } from "./dom.js";
import { icon } from "./icons.js";

/** say lets screen readers tell something when they have a moment. */
export function say(text) {
  document.getElementById("status").textContent = text;
}

/** notice shows a message above the page: kind is info or bad. It goes away by its button, infos after a while too. */
export function notice(text, { kind = "info", action, stay = kind === "bad" } = {}) {
  const box = document.getElementById("notices");
  const el = h("div", { class: ["notice", kind], role: kind === "bad" ? "alert" : "status" },
    icon(kind === "bad" ? "warn" : "check"), h("p", { text }), action,
    button("", { icon: icon("close"), quiet: true, "aria-label": "Close this message", on: { click: () => el.remove() } }));
  while (box.children.length > 2) box.firstElementChild.remove();
  box.append(el);
  if (!stay) setTimeout(() => el.remove(), 6000);
  return el;
}

/** trouble shows an error that happened while doing something. */
export function trouble(doing, error) {
  notice(`${doing} failed. ${error.message}`, { kind: "bad" });
}
