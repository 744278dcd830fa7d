// Live sessions: browsers that are signed in, and open sockets.
import { del, get } from "./api.js";
import { notice } from "./announce.js";
import { button, h } from "./dom.js";
import { many } from "./format.js";
import { may } from "./me.js";
import { when } from "./managekeys.js";
import { confirm, empty, table, View } from "./parts.js";

const every = 3000;

/** Sessions is that view; it keeps itself up to date. */
export class Sessions extends View {
  title = "Sessions";
  lead = "Active sessions: signed-in browsers, and the WebSockets of pages and programs.";

  show() {
    clearInterval(this.timer);
    this.timer = setInterval(() => document.visibilityState === "visible" && !document.querySelector("dialog[open]") && !this.body.contains(document.activeElement) && super.show(), every);
    return super.show();
  }

  hide() {
    clearInterval(this.timer);
  }

  async read() {
    const all = await get("api/auth/sessions");
    this.sessions = all.sessions ?? [];
    this.sockets = all.sockets ?? [];
  }

  draw() {
    return [
      h("h2", { class: "h2", text: "Signed in" }),
      this.sessions.length ? table("Signed in", [
        ["User", (s) => ({ el: s.user, class: "main" })],
        ["From", (s) => s.address || "unknown"],
        ["By", (s) => (s.source === "oidc" ? "the organisation's account" : s.key ? h("code", { class: "mono", text: `cgo_${s.key}…` }) : "a key")],
        ["Since", (s) => when(s.created, "")],
        ["", (s) => ({ class: "acts", el: may("DELETE /auth/sessions/:id") && button("Sign out", { danger: true, "aria-label": `Sign out ${s.user} from ${s.address}`, on: { click: () => this.end(s) } }) })],
      ], this.sessions, (s) => ({ data: { id: s.id } })) : empty("user", "No browser is signed in", "Programs that show a key with every request have no session."),
      h("h2", { class: "h2", text: "Open sockets" }),
      this.sockets.length ? table("Open sockets", [
        ["User", (s) => ({ el: s.user, class: "main" })],
        ["Role", (s) => s.role],
        ["By", (s) => (s.key ? h("code", { class: "mono", text: `cgo_${s.key}…` }) : s.session ? "a session" : s.source)],
        ["Open", (s) => many(s.open, "socket")],
      ], this.sockets, (s) => ({ data: { key: s.key ?? "" } })) : empty("link", "No socket is open", "Pages and programs that listen are listed here."),
    ];
  }

  end(s) {
    const own = s.id === this.context.me.session;
    confirm(`Sign out ${s.user}?`, own ? "This is your own session: you will have to sign in again." : "The browser has to show a key again.", "Sign out", async () => {
      await del(`api/auth/sessions/${s.id}`);
      if (own) location.reload();
      notice("The session is ended.");
      await this.show();
    });
  }
}
