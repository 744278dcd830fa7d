// Keys: made, shown once, listed masked, changed for new ones, revoked.
import { copy, del, get, post } from "./api.js";
import { notice, say } from "./announce.js";
import { button, h } from "./dom.js";
import { ago, clock } from "./format.js";
import { icon } from "./icons.js";
import { may } from "./me.js";
import { confirm, dialog, empty, form, head, labelled, select, table, View } from "./parts.js";

const day = 86_400;
const lives = [["0", "Never"], [String(30 * day), "30 days"], [String(90 * day), "90 days"], [String(365 * day), "1 year"]];

/** Keys is that view. */
export class Keys extends View {
  title = "Keys";
  lead = "A key authenticates a program or a person. The whole key is shown once, when it is created; later only its prefix.";

  head() {
    return head(this.title, may("POST /auth/keys") && button("New key", { primary: true, icon: icon("plus"), id: "new-key", on: { click: () => this.create() } }));
  }

  async read() {
    this.keys = (await get("api/auth/keys")).keys;
    const live = (k) => (k.state === "active" ? 0 : 1);
    this.keys.sort((a, b) => live(a) - live(b) || b.created.localeCompare(a.created));
  }

  draw() {
    if (!this.keys.length) return empty("key", "There are no keys", "Create one for each program and person, so that each can be revoked separately.");
    return table("Keys", [
      ["Name", (k) => ({ el: k.name || "No name", class: "main" })],
      ["Key", (k) => h("code", { class: "mono", text: k.mask })],
      ["User", (k) => k.user],
      ["Role", (k) => k.role || "user's role"],
      ["State", (k) => h("span", { class: ["tag", k.state === "active" ? "good" : "bad"], text: k.state })],
      ["Last used", (k) => when(k.last_used, "never")],
      ["Expires", (k) => when(k.expires, "Never", clock)],
      ["", (k) => ({ class: "acts", el: k.state === "active" && [
        may("POST /auth/keys/:id/rotate") && button("Change", { quiet: true, "aria-label": `Change key ${k.name} for a new one`, title: "Replace it by a new key", on: { click: () => this.rotate(k) } }),
        may("DELETE /auth/keys/:id") && button("Revoke", { danger: true, "aria-label": `Revoke key ${k.name}`, on: { click: () => this.revoke(k) } }),
      ] })],
    ], this.keys, (k) => ({ class: k.state === "active" ? "" : "gone", data: { id: k.id } }));
  }

  async create() {
    const { me } = this.context;
    let [users, roles] = [[], []];
    if (me.admin) [users, roles] = await Promise.all([get("api/auth/users").then((a) => a.users), get("api/auth/roles").then((a) => a.roles)]);
    const name = h("input", { type: "text", required: true, maxlength: 100, autocomplete: "off" });
    const user = select(users.length ? users.map((u) => [u.id, `${u.name} (${u.role})`]) : [[me.id, me.name]], me.id);
    const role = select([["", "User's role"], ...roles.map((r) => [r.name, r.name])], "");
    const life = select(lives, "0");
    form("New key", "Create key", [
      labelled("Name", name, "What it is for: the program, or the person and the machine."),
      me.admin && labelled("For", user),
      h("div", { class: "form-pair" }, me.admin && labelled("Role", role, "At most the permissions of the user."), labelled("Expires", life)),
    ], async () => {
      if (!name.value.trim()) throw new Error("A name is needed.");
      const spec = { name: name.value.trim(), expires_in: Number(life.value) };
      if (me.admin) Object.assign(spec, { user: user.value, role: role.value });
      this.reveal(await post("api/auth/keys", spec));
      await this.show();
    });
  }

  /** reveal shows a new key, this once. */
  reveal(key) {
    const copied = () => {
      notice("The key is copied.");
      say("The key is copied.");
    };
    const sheet = dialog("Your new key",
      h("p", { class: "lead", text: "Copy it now. It is not kept anywhere and cannot be shown again." }),
      h("div", { class: "secret" }, h("code", { id: "secret", text: key.key }),
        button("Copy", { icon: icon("copy"), primary: true, on: { click: () => copy(key.key).then(copied, (e) => notice(`Copying failed: ${e.message}.`, { kind: "bad" })) } })),
      h("p", { class: "hint below" }, "Use it as ", h("code", { text: "Authorization: Bearer …" }), " or ", h("code", { text: "X-API-Key: …" }), ", or sign in with it."),
      h("div", { class: "form-acts" }, button("Done", { on: { click: () => sheet.close() } })));
    sheet.el.querySelector(".secret .btn").focus();
    sheet.el.addEventListener("close", () => sheet.el.replaceChildren());
  }

  rotate(key) {
    const overlap = select([["0", "At once"], ["3600", "After an hour"], [String(day), "After a day"], [String(7 * day), "After a week"]], "0");
    form(`A new key in place of ${key.name || key.mask}`, "Create key", [labelled("The old one ends", overlap)], async () => {
      this.reveal(await post(`api/auth/keys/${key.id}/rotate`, { overlap: Number(overlap.value) }));
      await this.show();
    });
  }

  revoke(key) {
    confirm(`Revoke ${key.name || key.mask}?`, "Anyone who uses it is shut out within a second: its sessions and sockets end, and its waiting jobs are cancelled. This cannot be undone.", "Revoke", async () => {
      await del(`api/auth/keys/${key.id}`);
      notice("The key is revoked.");
      await this.show();
    });
  }
}

/** when writes a time of the API, or a word when there is none. */
export function when(time, otherwise, how = (t) => ago(t)) {
  if (!time) return otherwise;
  return h("time", { datetime: time, title: clock(Date.parse(time)), text: how(Date.parse(time)) });
}
