// The runs of this page: what was sent, how far each is, and what came out.
import { get, post } from "./api.js";
import { order, tidy, weight } from "./workflow.js";

const kept = 40; // runs remembered

/** newID makes a random UUID, also where browsers keep crypto.randomUUID for HTTPS. */
function newID() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 15) | 64;
  b[8] = (b[8] & 63) | 128;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Runs keeps them, the newest first, and tells "change" ({detail: run}) whenever one moves on and "end" when it is over.
 *
 * A run has id, name, graph, state (waiting, running, done, failed, cancelled), nodes (Map of id to {state, value, max,
 * start, end}), node (the running one), preview (an address), outputs ([{kind, node, file} or {kind, node, text}]), error.
 */
export class Runs extends EventTarget {
  constructor(socket) {
    super();
    this.list = [];
    this.socket = socket;
    socket.addEventListener("message", (e) => this.take(e.detail));
    socket.addEventListener("preview", (e) => this.picture(e.detail));
    socket.addEventListener("state", (e) => e.detail === "open" && this.catchUp());
  }

  find(id) {
    return this.list.find((r) => r.id === id);
  }

  /** active is the run that the page should show: the running one, or the next, or the newest. */
  active() {
    return this.list.find((r) => r.state === "running") ?? this.list.findLast((r) => r.state === "waiting") ?? this.list[0] ?? null;
  }

  /** send queues a graph; it throws the server's refusal. */
  async send(graph, name) {
    // The id is ours, so that the run is known before its first event: that may come before the answer does.
    const run = this.add(newID(), tidy(graph), name);
    try {
      const answer = await post("prompt", {
        prompt: run.graph, prompt_id: run.id, client_id: this.socket.id, extra_data: { preview_method: "auto" },
      });
      run.sent = performance.now();
      this.change(run);
      return { run, warnings: answer.node_errors ?? {} };
    } catch (error) {
      this.list.splice(this.list.indexOf(run), 1);
      throw error;
    }
  }

  /** sendRegistered queues a registered workflow; its graph is not ours to see, and neither is its first event, perhaps. */
  async sendRegistered(workflow, inputs) {
    const answer = await post(`api/workflows/${encodeURIComponent(workflow.name)}/run`, { inputs, client_id: this.socket.id });
    const run = this.add(answer.prompt_id, {}, workflow.title);
    run.sent = performance.now();
    this.change(run);
    await this.catchUp();
    return run;
  }

  add(id, graph, name, created = Date.now()) {
    const run = {
      id, name, graph, created, state: "waiting", nodes: new Map(), node: null, preview: null, outputs: [], error: null,
      start: null, end: null, sent: Infinity,
    };
    this.list.unshift(run);
    for (const old of this.list.splice(kept)) this.forget(old);
    return run;
  }

  forget(run) {
    if (run.preview) URL.revokeObjectURL(run.preview);
    run.preview = null;
  }

  change(run) {
    this.dispatchEvent(new CustomEvent("change", { detail: run }));
  }

  /** adopt takes over a job of the queue that an earlier load of this page has sent. */
  adopt([, id, graph, extra], running) {
    if (this.find(id) || extra?.client_id !== this.socket.id) return;
    const run = this.add(id, tidy(graph), "", extra.create_time);
    run.sent = performance.now();
    if (running) this.begin(run);
    this.change(run);
  }

  begin(run) {
    if (run.state !== "waiting") return;
    run.state = "running";
    run.start = Date.now();
  }

  take({ type, data }) {
    const run = this.find(data?.prompt_id);
    if (!run) return;
    const handler = handlers[type];
    if (!handler) return;
    handler(run, data, this);
    this.change(run);
  }

  picture({ blob, prompt }) {
    const run = prompt ? this.find(prompt) : this.list.find((r) => r.state === "running");
    if (!run || run.state !== "running") return;
    const old = run.preview;
    run.preview = URL.createObjectURL(blob);
    this.change(run);
    if (old) setTimeout(() => URL.revokeObjectURL(old), 2000); // an image may still be reading it
  }

  finish(run, state) {
    if (run.state === state) return;
    run.state = state;
    run.end = Date.now();
    run.start ??= run.end;
    run.node = null;
    for (const n of run.nodes.values()) if (n.state === "running") n.state = state === "done" ? "done" : "stopped";
    if (state === "done" && !run.outputs.length) this.settle(run, false);
    this.dispatchEvent(new CustomEvent("end", { detail: run }));
  }

  /** settle asks how a run has ended, after the line was broken; queued says whether it still stands in the queue. */
  async settle(run, queued) {
    let row;
    try {
      row = (await get(`history/${run.id}`))[run.id];
    } catch {
      return; // the next connection asks again
    }
    if (!row) {
      if (!queued && busy(run)) this.finish(run, "cancelled");
      this.change(run);
      return;
    }
    for (const [node, output] of Object.entries(row.outputs ?? {})) collect(run, node, output);
    if (busy(run)) {
      const told = Object.fromEntries(row.status?.messages ?? []);
      run.error = told.execution_error ?? null;
      const state = row.status?.status_str !== "error" ? "done" : told.execution_interrupted ? "cancelled" : "failed";
      this.finish(run, state);
      const end = told.execution_success ?? told.execution_error ?? told.execution_interrupted;
      if (told.execution_start && end) [run.start, run.end] = [told.execution_start.timestamp, end.timestamp];
    }
    this.change(run);
  }

  /** compare looks after runs that a queue read after asked (performance.now) does not have: nobody tells of jobs taken out. */
  compare(ids, asked) {
    for (const run of this.list) if (busy(run) && run.sent < asked && !ids.has(run.id)) this.settle(run, false);
  }

  async catchUp() {
    const asked = performance.now();
    try {
      const queue = await get("queue");
      const [now, waiting] = [queue.queue_running ?? [], queue.queue_pending ?? []];
      for (const item of waiting) this.adopt(item, false);
      for (const item of now) this.adopt(item, true);
      for (const run of this.list) if (now.some((item) => item[1] === run.id)) this.begin(run);
      this.compare(new Set([...now, ...waiting].map((item) => item[1])), asked);
    } catch {
      // the next connection tries again
    }
  }
}

/** busy reports whether a run has not come to its end. */
function busy(run) {
  return run.state === "waiting" || run.state === "running";
}

const handlers = {
  __proto__: null,
  execution_start(run, data, runs) { runs.begin(run); },
  execution_cached(run, data) {
    for (const id of data.nodes ?? []) run.nodes.set(id, { state: "cached" });
  },
  executing(run, data, runs) {
    runs.begin(run);
    const last = run.nodes.get(run.node);
    if (last?.state === "running" && run.node !== data.node) close(last);
    run.node = data.node === null ? null : (data.display_node ?? data.node);
    if (run.node !== null && run.nodes.get(run.node)?.state !== "running") run.nodes.set(run.node, { state: "running", start: Date.now() });
  },
  progress_state(run, data) {
    for (const [id, n] of Object.entries(data.nodes ?? {})) {
      const node = run.nodes.get(id) ?? {};
      if (n.state === "running") Object.assign(node, { state: "running", value: n.value, max: n.max, start: node.start ?? Date.now() });
      else if (n.state === "finished" && node.state !== "cached") close(node);
      else if (n.state === "error") node.state = "failed";
      if (node.state) run.nodes.set(id, node);
    }
  },
  progress(run, data) {
    const node = run.nodes.get(data.node);
    if (node) Object.assign(node, { value: data.value, max: data.max });
  },
  executed(run, data) {
    const node = run.nodes.get(data.display_node ?? data.node);
    if (node && node.state !== "cached") close(node);
    collect(run, data.display_node ?? data.node, data.output);
  },
  execution_success(run, data, runs) { runs.finish(run, "done"); },
  execution_interrupted(run, data, runs) { runs.finish(run, "cancelled"); },
  execution_error(run, data, runs) {
    run.error = data;
    const node = run.nodes.get(data.node_id) ?? {};
    run.nodes.set(data.node_id, { ...node, state: "failed" });
    runs.finish(run, "failed");
  },
};

function close(node) {
  if (node.state !== "done") node.end = Date.now();
  node.state = "done";
}

/** collect takes over what a node puts out, each thing once. */
function collect(run, node, output) {
  const known = new Set(run.outputs.map((o) => o.key));
  for (const item of outputsOf(node, output)) if (!known.has(item.key)) run.outputs.push(item);
}

/** outputsOf reads the output of a node as ComfyUI tells it: pictures, films, sounds and texts. */
export function outputsOf(node, output) {
  const out = [];
  for (const [kind, items] of Object.entries(output ?? {})) {
    if (!Array.isArray(items)) continue;
    for (const item of items) {
      if (typeof item?.filename === "string") {
        out.push({ key: `${item.type}/${item.subfolder}/${item.filename}`, node, kind: mediaKind(kind, item.filename), file: item });
      } else if (kind === "text" && item !== null && typeof item !== "object") {
        out.push({ key: `${node}/text/${out.length}`, node, kind: "text", text: String(item) });
      }
    }
  }
  return out;
}

function mediaKind(kind, name) {
  if (/\.(mp4|webm|mov|mkv)$/i.test(name)) return "video";
  if (/\.(flac|mp3|wav|ogg|opus)$/i.test(name)) return "audio";
  return /\.(png|jpe?g|webp|gif|avif|bmp|svg)$/i.test(name) || kind === "images" ? "image" : "file";
}

/** share is how far a run is, from 0 to 1, by guesses of what each node costs. */
export function share(run) {
  if (run.state === "done") return 1;
  let [done, all] = [0, 0];
  for (const id of needed(run.graph)) {
    const w = weight(run.graph[id].class_type);
    const n = run.nodes.get(id);
    if (n?.state === "cached") continue;
    all += w;
    if (n?.state === "done") done += w;
    else if (n?.state === "running" && n.max > 0) done += (w * n.value) / n.max;
  }
  return all ? Math.min(1, done / all) : 0;
}

const orders = new WeakMap();

/** needed lists a graph's nodes in the order of running; it is worked out once. */
export function needed(graph) {
  if (!orders.has(graph)) orders.set(graph, order(graph).filter((id) => graph[id].inputs));
  return orders.get(graph);
}
