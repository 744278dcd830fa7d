// Roles: what each may do, and how much of it.
import { address, del, get, patch, post } from "./api.js";
import { notice, trouble } from "./announce.js";
import { button, h } from "./dom.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { confirm, form, head, labelled, select, View } from "./parts.js";

const limits = [
  ["queued", "Waiting jobs"], ["megapixels", "Megapixels a job"], ["upload_bytes", "Bytes an upload"], ["upload_total_bytes", "Bytes of all uploads"], ["requests_per_second", "Requests a second"],
  ["requests_burst", "Requests at once"], ["prompts_per_second", "Runs a second"], ["prompts_burst", "Runs at once"],
];
const patterns = [["*", "Any workflow"], ["@registered", "Registered workflows"], ["@public", "Public workflows"]];

/** Roles is that view. */
export class Roles extends View {
  title = "Roles";
  lead = "A permission is a method, a route and a workflow. A limit of 0 means no limit. Administrators may do everything.";

  head() {
    return head(this.title, button("New role", { primary: true, icon: icon("plus"), on: { click: () => this.create() } }));
  }

  async read() {
    this.opened = new Set([...this.body.querySelectorAll("details[open]")].map((d) => d.dataset.name));
    const [roles, permissions, workflows] = await Promise.all([get("api/auth/roles"), get("api/auth/permissions"), get("api/workflows")]);
    this.roles = roles.roles;
    this.routes = [...new Set(permissions.permissions.map((p) => p.route))].sort();
    this.patterns = [...patterns, ...workflows.workflows.map((w) => [w.name, w.title])];
  }

  draw() {
    const list = h("datalist", { id: "routes" }, this.routes.map((r) => h("option", { value: r })));
    return h("div", { class: "roles" }, list, this.roles.map((r) => this.role(r)));
  }

  role(r) {
    const all = r.name === "Administrator";
    const el = h("details", { class: "card role", data: { name: r.name } },
      h("summary", {}, h("span", { class: "role-name", text: r.name }), r.builtin && h("span", { class: "tag", text: "built in" }),
        h("span", { class: "count", text: `${many(r.users, "user")} · ${all ? "everything" : many(r.permissions.length, "permission")}` })),
      h("div", { class: "inner" }, all ? h("p", { class: "hint", text: "Nothing is refused, and there are no limits." }) : [this.limits(r), this.grants(r),
        !r.builtin && h("div", {}, button("Delete the role", { danger: true, on: { click: () => this.remove(r) } }))]));
    el.open = this.opened.has(r.name);
    return el;
  }

  limits(r) {
    const fields = limits.map(([key, label]) => [key, h("input", { type: "number", min: 0, step: "any", value: String(r.limits[key]) }), label]);
    const save = async (e) => {
      e.preventDefault();
      try {
        await patch(`api/auth/roles/${encodeURIComponent(r.name)}`, { limits: Object.fromEntries(fields.map(([key, el]) => [key, Number(el.value)])) });
        notice("The limits are saved.");
      } catch (error) {
        trouble("Saving the limits", error);
      }
      await this.show();
    };
    return h("form", { class: "limits", "aria-label": `Limits of ${r.name}`, on: { submit: save } }, fields.map(([, el, label]) => labelled(label, el)), h("button", { type: "submit", class: "btn", text: "Save" }));
  }

  grants(r) {
    const method = select(["GET", "POST", "PUT", "PATCH", "DELETE", "*"].map((m) => [m, m === "*" ? "Any" : m]), "GET");
    const route = h("input", { type: "text", list: "routes", class: "mono", autocomplete: "off", required: true });
    const workflow = select(this.patterns, "*");
    const add = async (e) => {
      e.preventDefault();
      await this.grant(() => post(`api/auth/roles/${encodeURIComponent(r.name)}/permissions`, { method: method.value, route: route.value, workflow: workflow.value }), "Permission added.");
    };
    return h("div", { class: "form-grid" },
      h("ul", { class: "grants", "aria-label": `Permissions of ${r.name}` }, r.permissions.map((g) => h("li", {},
        h("span", {}, h("code", { text: `${g.method} ${g.route}` }), g.workflow !== "*" && h("span", { class: "tag", text: patterns.find(([p]) => p === g.workflow)?.[1] ?? g.workflow })),
        button("", { icon: icon("close"), quiet: true, "aria-label": `Take ${g.method} ${g.route} from ${r.name}`, title: "Remove", on: { click: () => this.take(r, g) } })))),
      h("form", { class: "add-grant", "aria-label": `New permission of ${r.name}`, on: { submit: add } }, labelled("Method", method), labelled("Route", route), labelled("Workflow", workflow), h("button", { type: "submit", class: "btn", text: "Give" })));
  }

  take(r, g) {
    const path = address(`api/auth/roles/${encodeURIComponent(r.name)}/permissions`, g);
    return this.grant(() => del(path.href), "Permission removed.");
  }

  async grant(act, done) {
    try {
      await act();
      notice(done);
    } catch (error) {
      trouble("Changing the permissions", error);
    }
    await this.show();
  }

  async create() {
    if (!this.roles) await this.read(); // the button may be quicker than the list
    const name = h("input", { type: "text", required: true, maxlength: 64, autocomplete: "off" });
    const like = select([["", "Nothing"], ...this.roles.filter((r) => r.name !== "Administrator").map((r) => [r.name, r.name])], "User");
    form("New role", "Create role", [labelled("Name", name), labelled("Permissions of", like)], async () => {
      await post("api/auth/roles", { name: name.value.trim(), like: like.value });
      await this.show();
    });
  }

  remove(r) {
    confirm(`Delete the role ${r.name}?`, "It can be deleted when no user and no key has it.", "Delete", async () => {
      await del(`api/auth/roles/${encodeURIComponent(r.name)}`);
      notice("The role is deleted.");
      await this.show();
    });
  }
}
