// Users: who owns keys, jobs and files, and with which role.
import { del, get, patch, post } from "./api.js";
import { notice, trouble } from "./announce.js";
import { button, h } from "./dom.js";
import { many } from "./format.js";
import { icon } from "./icons.js";
import { when } from "./managekeys.js";
import { confirm, empty, form, head, labelled, select, table, View } from "./parts.js";

/** Users is that view. */
export class Users extends View {
  title = "Users";
  lead = "A user owns keys, jobs, images and settings. The role says what the user may do.";

  head() {
    return head(this.title, button("New user", { primary: true, icon: icon("plus"), on: { click: () => this.create() } }));
  }

  async read() {
    [this.users, this.roles] = await Promise.all([get("api/auth/users").then((a) => a.users), get("api/auth/roles").then((a) => a.roles)]);
  }

  draw() {
    if (!this.users.length) return empty("user", "There are no users", "Create one, and a key for it.");
    return table("Users", [
      ["Name", (u) => ({ el: [u.name, u.id === this.context.me.id && h("span", { class: "hint", text: " (you)" })], class: "main" })],
      ["Role", (u) => this.role(u)],
      ["Keys", (u) => many(u.keys, "key")],
      ["Created", (u) => when(u.created, "")],
      ["State", (u) => h("span", { class: ["tag", u.disabled ? "bad" : "good"], text: u.disabled ? "disabled" : "active" })],
      ["", (u) => ({ class: "acts", el: [
        button(u.disabled ? "Enable" : "Disable", { quiet: true, "aria-label": `${u.disabled ? "Enable" : "Disable"} ${u.name}`, on: { click: () => this.change(u, { disabled: !u.disabled }, u.disabled ? "The user is enabled." : "The user is disabled.") } }),
        button("Delete", { danger: true, "aria-label": `Delete ${u.name}`, on: { click: () => this.remove(u) } }),
      ] })],
    ], this.users, (u) => ({ data: { id: u.id } }));
  }

  role(u) {
    const el = select(this.roles.map((r) => [r.name, r.name]), u.role, { "aria-label": `Role of ${u.name}` });
    el.addEventListener("change", () => this.change(u, { role: el.value }, `${u.name} is ${el.value} now.`));
    return el;
  }

  async change(u, what, done) {
    try {
      await patch(`api/auth/users/${u.id}`, what);
      notice(done);
    } catch (error) {
      trouble("Changing the user", error);
    }
    await this.show();
  }

  async create() {
    if (!this.roles) await this.read(); // the button may be quicker than the list
    const name = h("input", { type: "text", required: true, maxlength: 100, autocomplete: "off" });
    const role = select(this.roles.map((r) => [r.name, r.name]), "User");
    form("New user", "Create user", [labelled("Name", name), labelled("Role", role)], async () => {
      if (!name.value.trim()) throw new Error("A name is needed.");
      await post("api/auth/users", { name: name.value.trim(), role: role.value });
      notice("The user is created. Create a key for it next.");
      await this.show();
    });
  }

  remove(u) {
    confirm(`Delete ${u.name}?`, `All of the user's keys end (${many(u.keys, "key")}). Jobs and files stay, for administrators to see.`, "Delete", async () => {
      await del(`api/auth/users/${u.id}`);
      notice("The user is deleted.");
      await this.show();
    });
  }
}
