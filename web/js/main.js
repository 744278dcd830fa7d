// The page's beginning: what is shared by its views, the way between them, and the line to the server.
import { address, call, events, get, post } from "./api.js";
import { notice } from "./announce.js";
import { Create } from "./create.js";
import { button, fill, h, set } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Health } from "./health.js";
import { History } from "./history.js";
import { icon } from "./icons.js";
import { stringify } from "./json.js";
import { lightbox } from "./lightbox.js";
import { know } from "./me.js";
import { Models } from "./models.js";
import { watchDrops } from "./open.js";
import { Queue } from "./queue.js";
import { Registered } from "./registered.js";
import { Runs } from "./runs.js";
import { Socket } from "./socket.js";
import { themeButton } from "./themebutton.js";

const clientKey = "comfygo.client";

/** clientID is this tab's name for the server. It outlives a reload; a copy of the tab gets one of its own. */
function clientID() {
  let id = null;
  try {
    id = sessionStorage.getItem(clientKey);
    sessionStorage.removeItem(clientKey);
  } catch {
    // a new one at every load then
  }
  id ??= Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  window.addEventListener("pagehide", () => {
    try {
      sessionStorage.setItem(clientKey, id);
    } catch {
      // see above
    }
  });
  return id;
}

const socket = new Socket(clientID());
const runs = new Runs(socket);
let info = {};

/** reloadInfo reads the node classes anew and reports whether they have changed: models and pictures are among them. */
async function reloadInfo() {
  const before = stringify(info);
  info = Object.assign(Object.create(null), await get("object_info")); // no class is called constructor by accident
  const changed = before !== stringify(info);
  if (changed) await describeModels(); // new files are among them
  return changed;
}

/** describeModels asks what the model files are: family, and whether they can be used. */
async function describeModels() {
  const described = new Map();
  await Promise.all(["checkpoints", "diffusion_models", "loras"].map(async (kind) => {
    for (const m of await get(`api/v1/models/${kind}`).catch(() => [])) described.set(`${kind}/${m.name}`, m);
  }));
  context.described = described;
}

const context = {
  runs, socket, reloadInfo, demo: null, frontend: false, me: { mode: "off", admin: true },
  info: () => info, described: new Map(),
  /** problem says why a model file cannot be used; "" when it can, or when that is not known. */
  problem: (kind, name) => context.described.get(`${kind}/${name}`)?.problem ?? "",
  use: (graph, name) => {
    create.load(graph, name);
    location.hash = "#/";
    window.scrollTo(0, 0);
  },
  view: (run, item) => {
    const entries = runs.list.flatMap((r) => r.outputs.filter((o) => o.file && o.kind !== "file").map((o) => ({ item: o, graph: r.graph, name: r.name })));
    lightbox(entries, Math.max(0, entries.findIndex((e) => e.item === item)), context);
  },
  count: (n) => {
    const badge = document.getElementById("queue-count");
    if (!badge) return;
    badge.hidden = n === 0;
    badge.textContent = n > 99 ? "99+" : String(n);
    badge.setAttribute("aria-label", `${n} in the queue`);
  },
};

const create = new Create(context);
const queue = new Queue(context);
const views = {
  __proto__: null, "": create, workflows: new Registered(context), queue, gallery: new Gallery(context), history: new History(context), models: new Models(context), health: new Health(context),
};
const tabs = [["", "create", "Create"], ["queue", "queue", "Queue"], ["gallery", "gallery", "Gallery"], ["history", "history", "History"], ["models", "models", "Models"], ["health", "health", "Health"]];

let shown = null;

/** route shows the view that the address names. */
function route(first) {
  const name = location.hash.replace(/^#\/?/, "").split("/")[0];
  const view = views[name] ?? views[""];
  for (const a of document.querySelectorAll("#tabs a")) set(a, { "aria-current": a.dataset.view === (views[name] ? name : "") ? "page" : false });
  document.title = view === views[""] ? "comfygo" : `${view.title} · comfygo`;
  if (view === shown) return;
  shown?.hide?.();
  shown = view;
  fill(document.getElementById("main"), view.el);
  view.show();
  if (!first) {
    window.scrollTo(0, 0);
    view.el.querySelector("h1")?.focus({ preventScroll: true });
  }
}

/** person shows who is signed in, with the way out and, for administrators, to the page of keys and users. */
function person() {
  const { me } = context;
  const leave = async () => {
    await post("logout").catch(() => {}); // the session may have ended already
    location.href = address("login", { next: address("app").pathname }).href;
  };
  return [
    context.frontend && h("a", { class: "btn quiet editor", href: "./", title: "ComfyUI's frontend, with the graph", text: "Editor" }),
    me.mode === "store" && h("a", { class: "btn quiet square", href: "manage", title: `${me.name}, ${me.role}: keys and access`, "aria-label": `Keys and access of ${me.name}` }, icon("key")),
    me.source === "cookie" && button("", { icon: icon("exit"), quiet: true, id: "sign-out", "aria-label": "Sign out", title: "Sign out", on: { click: leave } }),
  ];
}

function header() {
  fill(document.getElementById("tabs"), h("ul", {}, tabs.filter(([view]) => views[view]).map(([view, shape, label]) => h("li", {},
    h("a", { href: `#/${view}`, data: { view } }, icon(shape), h("span", { class: "tab-label", text: label }),
      view === "queue" && h("span", { class: "badge", id: "queue-count", hidden: true }))))));
  fill(document.getElementById("top-tools"), person(), themeButton());
}

function line() {
  const el = document.getElementById("link-state");
  const words = { connecting: "Connecting", open: "Connected", lost: "Connection lost, trying again", refused: "Signed out" };
  socket.addEventListener("state", (e) => {
    if (e.detail === "connecting" && el.dataset.state === "lost") return; // one word for the whole of the trouble
    el.dataset.state = e.detail;
    el.querySelector(".link-text").textContent = words[e.detail];
    if (e.detail === "lost") call("prompt").catch(() => {}); // tells whether a key is wanted
    if (e.detail === "refused") signIn();
  });
}

let asked = false;

/** signIn offers the page that asks for a key. */
function signIn() {
  if (asked) return;
  asked = true;
  const back = address("app");
  back.hash = location.hash;
  const go = h("a", { class: "btn primary", href: address("login", { next: back.pathname + back.hash }).href, text: "Sign in" });
  notice("This server asks for a key.", { kind: "bad", action: go });
}

/** limit leaves of the page what somebody may use who may not see the nodes: the registered workflows and their results. */
function limit(error) {
  if (error.status !== 403) throw error;
  views[""] = views.workflows;
  context.use = null; // without nodes there is no form
  for (const name of ["models", "health"]) delete views[name];
}

async function begin() {
  header();
  line();
  events.addEventListener("unauthorized", signIn);
  document.querySelector(".skip").addEventListener("click", (e) => {
    e.preventDefault(); // the part of an address behind # names views here
    document.getElementById("main").focus();
  });
  const main = document.getElementById("main");
  try {
    const [start, me] = await Promise.all([get("app/start.json"), get("api/auth/me")]);
    context.demo = start.demo;
    context.frontend = start.frontend;
    context.me = me;
    know(me);
    await reloadInfo().catch(limit);
    header();
  } catch (error) {
    fill(main, h("div", { class: "empty" }, icon("warn"), h("h1", { text: error.status === 401 ? "A key is needed" : "The server does not answer" }),
      h("p", { text: error.status === 401 ? "Sign in to use this server." : error.message }),
      error.status === 401 ? h("a", { class: "btn primary", href: address("login", { next: address("app").pathname }).href, text: "Sign in" })
        : button("Try again", { primary: true, on: { click: () => location.reload() } })));
    return;
  }
  window.addEventListener("hashchange", () => route(false));
  if (views[""] === create) watchDrops((promise, name) => create.take(promise, name));
  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible") return;
    try {
      if (await reloadInfo()) {
        create.refresh();
      }
    } catch {
      // the next look tries again
    }
  });
  socket.connect();
  route(true);
}

begin();
