// The line to the server on which it tells what happens. It is opened again whenever it breaks.
import { address } from "./api.js";
import { parse } from "./json.js";

const firstWait = 400;
const longestWait = 10_000;

/** Codes with which the server says that it does not want us. */
const refused = new Set([4401, 4403, 1008]);

/**
 * Socket tells "state" ({detail: "connecting" | "open" | "lost" | "refused"}), "message" ({detail: {type, data}}) and
 * "preview" ({detail: {blob, node, prompt}}).
 */
export class Socket extends EventTarget {
  constructor(id) {
    super();
    this.id = id;
    this.state = "connecting";
    this.wait = firstWait;
    this.timer = 0;
    window.addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
  }

  connect() {
    clearTimeout(this.timer);
    const url = address("ws", { clientId: this.id });
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.tell("connecting");
    const ws = new WebSocket(url);
    ws.binaryType = "arraybuffer";
    ws.addEventListener("open", () => {
      this.wait = firstWait;
      ws.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
      this.tell("open");
    });
    ws.addEventListener("message", (e) => this.take(e.data));
    ws.addEventListener("close", (e) => this.closed(e));
    this.ws = ws;
  }

  closed(e) {
    if (refused.has(e.code)) {
      this.tell("refused");
      return;
    }
    this.tell("lost");
    this.timer = setTimeout(() => this.connect(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, longestWait);
  }

  /** hurry tries again at once when there is reason to hope. */
  hurry() {
    if (this.state !== "lost") return;
    this.wait = firstWait;
    this.connect();
  }

  tell(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  take(data) {
    if (data instanceof ArrayBuffer) {
      const preview = readPreview(data);
      if (preview) this.dispatchEvent(new CustomEvent("preview", { detail: preview }));
      return;
    }
    let message;
    try {
      message = parse(data);
    } catch {
      return; // not one of the server's
    }
    if (typeof message?.type === "string") this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }
}

const types = { 1: "image/jpeg", 2: "image/png" };

/** readPreview reads a binary frame: kind 1 is a picture alone, kind 4 one with its node in front; null for others. */
function readPreview(buffer) {
  if (buffer.byteLength < 8) return null;
  const data = new DataView(buffer);
  const kind = data.getUint32(0);
  const second = data.getUint32(4);
  if (kind === 1) return { blob: new Blob([buffer.slice(8)], { type: types[second] ?? "image/jpeg" }) };
  if (kind !== 4 || 8 + second > buffer.byteLength) return null;
  try {
    const about = JSON.parse(new TextDecoder().decode(buffer.slice(8, 8 + second)));
    return {
      blob: new Blob([buffer.slice(8 + second)], { type: about.image_type ?? "image/jpeg" }),
      node: about.display_node_id ?? about.node_id, prompt: about.prompt_id,
    };
  } catch {
    return null;
  }
}
