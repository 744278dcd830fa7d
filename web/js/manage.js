// The page /manage: who may use the server, and how.
import { ApiError, events, get, post } from "./api.js";
import { button, fill, h, set } from "./dom.js";
import { icon } from "./icons.js";
import { Audit } from "./manageaudit.js";
import { Flows } from "./manageflows.js";
import { Keys } from "./managekeys.js";
import { Roles } from "./manageroles.js";
import { Sessions } from "./managesessions.js";
import { Users } from "./manageusers.js";
import { shared, Workers } from "./manageworkers.js";
import { know, may } from "./me.js";
import { labelled } from "./parts.js";
import { themeButton } from "./themebutton.js";

// Each view with what a role must be allowed for it. A role that is no administrator's sees its own keys, sessions and workflows only.
const kinds = [["keys", "key", Keys, "GET /auth/keys"], ["users", "user", Users], ["roles", "lock", Roles], ["workflows", "list", Flows, "GET /workflows"],
  ["sessions", "link", Sessions, "GET /auth/sessions"], ["audit", "history", Audit]];
const fleet = ["workers", "models", Workers, "GET /api/workers"]; // of a queue that several processes share

/** offered are the views for who is signed in. Without a key store there are no users and keys to manage. */
async function offered(me) {
  const list = me.mode === "store" ? kinds.filter(([, , , endpoint]) => me.admin || (endpoint && may(endpoint))) : [];
  const sees = me.mode !== "store" || me.admin || may(fleet[3]);
  return sees && (await shared().catch(() => false)) ? [...list, fleet] : list;
}

const main = document.getElementById("main");
let views = Object.create(null);
let shown = null;

/** signIn asks for a key in place of the views. */
function signIn() {
  shown?.hide?.();
  shown = null;
  views = Object.create(null);
  fill(document.getElementById("tabs"));
  fill(document.getElementById("top-tools"), themeButton());
  const key = h("input", { type: "password", id: "key", autocomplete: "current-password", spellcheck: "false", required: true });
  const error = h("p", { class: "form-error", role: "alert" });
  const send = async (e) => {
    e.preventDefault();
    error.textContent = "";
    try {
      await post("login", { key: key.value.trim() });
      await begin();
    } catch (cause) {
      error.textContent = cause instanceof ApiError && cause.status === 401 ? "This key is not valid." : cause.message;
      key.select();
    }
  };
  fill(main, h("section", { class: "signin" }, h("form", { class: "card", on: { submit: send } },
    h("div", {}, h("h1", { text: "Sign in", tabindex: -1 }), h("p", { class: "hint" }, "With your API key. An administrator creates keys here, or with ", h("code", { text: "comfygo keys create --user NAME" }), " on the server.")),
    h("input", { type: "text", autocomplete: "username", value: "comfygo", hidden: true, "aria-label": "User" }), // for password managers
    labelled("API key", key), error, h("button", { type: "submit", class: "btn primary", text: "Sign in" }))));
  document.title = "Sign in · comfygo";
  key.focus();
}

async function signOut() {
  try {
    await post("logout");
  } catch {
    // the session had ended already
  }
  signIn();
}

/** explain says why there is nothing to manage. */
function explain(mode) {
  fill(main, h("section", { class: "empty" }, icon("lock"), h("h1", { text: mode === "keys" ? "Keys are given by flags" : "Authentication is off" }),
    h("p", {}, mode === "keys" ? "This server takes a list of keys from --api-key and --api-key-file. " : "", "Users, roles and keys come with the key store: start the server with ", h("code", { text: "--auth" }), "."),
    h("a", { class: "btn", href: "app", text: "Back to Create" })));
}

/** back is the way to the page where images are made. */
function back() {
  return h("a", { class: "btn quiet", id: "back", href: "app", title: "Back to the workflow page" }, icon("left"), h("span", { class: "tab-label", text: "Create" }));
}

function header(me, tabs) {
  fill(document.getElementById("tabs"), h("ul", {}, tabs.map(([name, shape]) => h("li", {},
    h("a", { href: `#/${name}`, data: { view: name } }, icon(shape), h("span", { class: "tab-label", text: views[name].title }))))));
  fill(document.getElementById("top-tools"), back(), me.name && h("p", { class: "who", title: `${me.name}, ${me.role}`, text: `${me.name} · ${me.role}` }),
    me.session && button("Sign out", { quiet: true, id: "sign-out", on: { click: signOut } }), themeButton());
}

function route(first) {
  const name = location.hash.replace(/^#\/?/, "");
  const view = views[name] ?? Object.values(views)[0];
  if (!view) return;
  for (const a of document.querySelectorAll("#tabs a")) set(a, { "aria-current": views[a.dataset.view] === view ? "page" : false });
  document.title = `${view.title} · comfygo`;
  if (view === shown) return;
  shown?.hide?.();
  shown = view;
  fill(main, view.el);
  view.show().then(() => !first && view === shown && view.el.querySelector("h1")?.focus({ preventScroll: true }));
  if (!first) window.scrollTo(0, 0);
}

async function begin() {
  let me;
  try {
    me = await get("api/auth/me");
  } catch (error) {
    if (error.status === 401) signIn();
    else fill(main, h("div", { class: "empty" }, icon("warn"), h("h1", { text: "The server does not answer" }), h("p", { text: error.message }), button("Try again", { primary: true, on: { click: () => location.reload() } })));
    return;
  }
  know(me);
  const tabs = await offered(me);
  if (!tabs.length) {
    fill(document.getElementById("top-tools"), back(), themeButton());
    explain(me.mode);
    return;
  }
  shown = null;
  views = Object.assign(Object.create(null), Object.fromEntries(tabs.map(([name, , Kind]) => [name, new Kind({ me })])));
  header(me, tabs);
  route(true);
}

document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault(); // the part of an address behind # names views here
  main.focus();
});
window.addEventListener("hashchange", () => route(false));
events.addEventListener("unauthorized", () => Object.keys(views).length && signIn());
begin();
