// Graphs in API form: what they are, how their nodes hang together, and what is told about them in words.

/** isLink reports whether an input's value is a link: [node, output]. */
export function isLink(v) {
  return Array.isArray(v) && v.length === 2 && typeof v[0] === "string" && Number.isInteger(v[1]);
}

function isObject(v) {
  return typeof v === "object" && v !== null && !Array.isArray(v);
}

/** isGraph reports whether a value is a graph in API form. */
export function isGraph(v) {
  if (!isObject(v)) return false;
  const nodes = Object.values(v);
  return nodes.length > 0 && nodes.every((n) => isObject(n) && typeof n.class_type === "string");
}

/** isDrawing reports whether a value is a workflow as the frontend draws it. */
function isDrawing(v) {
  return isObject(v) && Array.isArray(v.nodes) && (Array.isArray(v.links) || isObject(v.links) || v.links === undefined);
}

/** find looks for a workflow in a JSON value: {graph}, {drawing} or null. Requests and saved results hold one too. */
export function find(v) {
  if (isGraph(v)) return { graph: v };
  if (isDrawing(v)) return { drawing: v };
  if (!isObject(v)) return null;
  for (const key of ["prompt", "output", "workflow"]) {
    const inner = Array.isArray(v[key]) ? v[key][2] : v[key];
    const found = isObject(inner) ? find(inner) : null;
    if (found) return found;
  }
  return null;
}

/** tidy returns a copy of a graph whose nodes all have inputs, and which has nothing but its nodes; what is no node has been refused by isGraph. */
export function tidy(graph) {
  const out = Object.create(null); // a node may be called constructor
  for (const [id, node] of Object.entries(graph)) {
    const inputs = isObject(node.inputs) ? node.inputs : {};
    out[id] = { ...node, inputs: structuredClone(inputs) };
  }
  return out;
}

/** title is a node's name for people. */
export function title(graph, id, info) {
  const node = graph[id];
  if (!node) return `node ${id}`;
  const own = node._meta?.title;
  return typeof own === "string" && own.trim() ? own.trim() : (info[node.class_type]?.display_name || node.class_type);
}

/** hasOwnTitle reports whether somebody has named a node. */
export function hasOwnTitle(graph, id, info) {
  const own = graph[id]?._meta?.title;
  const about = info[graph[id]?.class_type];
  return Boolean(own) && own !== about?.display_name && own !== about?.name;
}

/** links lists a node's linked inputs: [name, from, output]. */
function links(node) {
  return Object.entries(node?.inputs ?? {}).filter(([, v]) => isLink(v)).map(([name, v]) => [name, v[0], v[1]]);
}

/**
 * roles tells which nodes write the positive and which the negative prompt, by following what the samplers are given.
 * It returns a Map from node to "positive" or "negative".
 */
export function roles(graph, info) {
  const found = new Map();
  const walk = (id, role, seen) => {
    if (seen.has(id) || !graph[id]) return;
    seen.add(id);
    const sides = links(graph[id]).filter(([name]) => name === role);
    for (const [, from, output] of sides.length ? sides : links(graph[id])) {
      const type = info[graph[from]?.class_type]?.output?.[output];
      if (sides.length || type === "CONDITIONING" || type === "STRING" || type === undefined) walk(from, role, seen);
    }
    if (!found.has(id)) found.set(id, role);
  };
  for (const node of Object.values(graph)) {
    for (const role of ["positive", "negative"]) {
      const v = node.inputs[role];
      if (isLink(v)) walk(v[0], role, new Set());
    }
    const guided = node.inputs.conditioning; // BasicGuider has one side only
    if (isLink(guided) && /guider/i.test(node.class_type)) walk(guided[0], "positive", new Set());
  }
  return found;
}

/** order lists the nodes so that each comes after those it takes from; those of a circle come last, as they stand. */
export function order(graph) {
  const done = new Set();
  const open = new Set();
  const visit = (id) => {
    if (done.has(id) || open.has(id) || !graph[id]) return;
    open.add(id);
    for (const [, from] of links(graph[id])) visit(from);
    open.delete(id);
    done.add(id);
  };
  for (const id of Object.keys(graph)) visit(id);
  return [...done];
}

/** weight is a guess of how long a node takes beside others, for the bar of the whole run. */
export function weight(type) {
  if (/sampler/i.test(type) && !/select|scheduler/i.test(type)) return 60;
  return /decode|upscale|loader/i.test(type) ? 3 : 1;
}

const shown = [
  ["seed", "Seed"], ["noise_seed", "Seed"], ["steps", "Steps"], ["cfg", "Guidance"], ["sampler_name", "Sampler"],
  ["scheduler", "Schedule"], ["denoise", "Denoise"], ["ckpt_name", "Checkpoint"], ["unet_name", "Diffusion model"],
  ["lora_name", "LoRA"], ["vae_name", "VAE"], ["batch_size", "Batch"],
];
const dull = { denoise: 1, batch_size: 1 }; // what goes without saying
const ranks = ["Size", ...new Set(shown.map(([, label]) => label))];

/** summarize tells what matters of a graph: {positive, negative, settings: [[label, value]]}. */
export function summarize(graph, info) {
  const texts = { positive: [], negative: [], other: [] };
  const role = roles(graph, info);
  const settings = [];
  for (const id of order(graph)) {
    const inputs = graph[id].inputs;
    for (const [name, v] of Object.entries(inputs)) {
      if (typeof v === "string" && /^(text|prompt|value|string)/.test(name) && v.trim() && (role.has(id) || name === "text")) {
        texts[role.get(id) ?? "other"].push(v.trim());
      }
    }
    const size = [inputs.width, inputs.height];
    if (size.every((v) => typeof v === "number") && /latent|image/i.test(graph[id].class_type)) settings.push(["Size", size.join(" × ")]);
    for (const [name, label] of shown) {
      const v = inputs[name];
      if (v !== undefined && !isLink(v) && typeof v !== "object" && dull[name] !== v) settings.push([label, String(v)]);
    }
  }
  const once = settings.filter(([l, v], i) => settings.findIndex(([a, b]) => a === l && b === v) === i);
  once.sort((a, b) => ranks.indexOf(a[0]) - ranks.indexOf(b[0]));
  return { positive: texts.positive.concat(texts.other).join("\n\n"), negative: texts.negative.join("\n\n"), settings: once };
}
