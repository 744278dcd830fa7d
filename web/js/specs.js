// What a form may show of a node: each input with its kind, its range and its importance, from /object_info.
import { human } from "./format.js";
import { hasOwnTitle, isLink, order, roles, title } from "./workflow.js";

const plain = new Set(["INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR", "COMFY_DYNAMICCOMBO_V3"]);

/** declared lists what a class declares: [name, type, options, required], in its order, with the inputs of the chosen variants. */
export function declared(about, inputs) {
  const out = [];
  const section = (group, required, prefix) => {
    for (const [name, spec] of Object.entries(group ?? {})) {
      const [type, options] = [spec[0], spec[1] ?? {}];
      out.push([prefix + name, type, options, required]);
      if (type !== "COMFY_DYNAMICCOMBO_V3") continue;
      const chosen = options.options?.find((o) => o.key === inputs[prefix + name]) ?? options.options?.[0];
      section(chosen?.inputs?.required, required, `${prefix}${name}.`);
      section(chosen?.inputs?.optional, false, `${prefix}${name}.`);
    }
  };
  section(about?.input?.required, true, "");
  section(about?.input?.optional, false, "");
  return out;
}

/** isWidget reports whether an input of a type is filled in by people, and not by a link. */
export function isWidget(type, options) {
  if (options?.forceInput) return false;
  return Array.isArray(type) || plain.has(type) || (typeof type === "string" && type.split(",").every((t) => plain.has(t)));
}

/** isChoosable reports whether people may fill in a field: it is no link and no socket. */
export function isChoosable(f) {
  return f.kind !== "link" && f.kind !== "socket";
}

/** choicesOf lists what a COMBO offers. */
function choicesOf(type, options) {
  if (Array.isArray(type)) return type;
  return (options?.options ?? []).map((o) => (typeof o === "object" && o !== null ? o.key : o));
}

/** standard is an input's default; undefined when it has none. */
export function standard(type, options) {
  if (options?.default !== undefined) return options.default;
  const choices = choicesOf(type, options);
  if (choices.length) return choices[0];
  return { INT: 0, FLOAT: 0, STRING: "", BOOLEAN: false }[type];
}

/** fillIn gives required inputs that a graph leaves out their defaults, so that they are seen and sent. */
export function fillIn(graph, info) {
  for (const node of Object.values(graph)) {
    for (const [name, type, options, required] of declared(info[node.class_type], node.inputs)) {
      if (!required || name in node.inputs || !isWidget(type, options)) continue;
      const v = standard(type, options);
      if (v !== undefined) node.inputs[name] = v;
    }
  }
}

function kindOf(name, type, options, value) {
  if (isLink(value)) return "link";
  if (type === undefined) return kindByValue(value);
  if (!isWidget(type, options)) return value === undefined ? "socket" : kindByValue(value);
  if (options.image_upload) return "picture";
  if (type === "COMFY_DYNAMICCOMBO_V3") return "variant";
  if (Array.isArray(type) || type === "COMBO") {
    if (options.multiselect) return "several";
    return choicesOf(type, options).length || !options.remote ? "choice" : "text";
  }
  if (type === "INT") return isSeed(name, options) ? "seed" : "int";
  if (type === "STRING") return options.multiline ? "words" : "text";
  return { FLOAT: "float", BOOLEAN: "switch", COLOR: "color" }[type] ?? kindByValue(value);
}

/** isSeed reports whether a whole number is drawn anew for each run: a seed, or what ComfyUI's frontend changes by itself unless it is "fixed". */
function isSeed(name, options) {
  return /^(noise_)?seed$/.test(name) || Boolean(options.control_after_generate) && options.control_after_generate !== "fixed";
}

/** staysByDefault reports whether a seed keeps its value until its lock is opened. */
export function staysByDefault(f) {
  return f.options.control_after_generate === "fixed";
}

function kindByValue(v) {
  if (typeof v === "boolean") return "switch";
  if (typeof v === "bigint") return "int";
  if (typeof v === "number") return Number.isInteger(v) ? "int" : "float";
  if (typeof v === "string") return v.length > 60 || v.includes("\n") ? "words" : "text";
  return "json";
}

const labels = {
  __proto__: null, // names are strangers' words
  sampler_name: "Sampler", scheduler: "Schedule", cfg: "Guidance", ckpt_name: "Checkpoint", vae_name: "VAE", unet_name: "Diffusion model",
  clip_name: "Text encoder", lora_name: "LoRA", noise_seed: "Seed", batch_size: "Images", filename_prefix: "File name",
  denoise: "Denoise", strength_model: "Strength", strength_clip: "Strength on text", control_net_name: "ControlNet",
};

/** The groups of inputs that people want first, with the names that belong to each. */
const groups = [
  ["Prompt", (f) => f.kind === "words"],
  ["Image", (f) => f.kind === "picture"],
  ["Size", (f) => /^(width|height|batch_size)$/.test(f.name) && /latent|image/i.test(f.type)],
  ["Sampling", (f) => f.kind === "seed" || /^(steps|cfg|sampler_name|scheduler|denoise|guidance)$/.test(f.name)],
  ["Model", (f) => /^(ckpt|unet|lora|vae|clip|control_net|model)_name\d?$/.test(f.name) || /^strength_model$/.test(f.name)],
];
const inGroup = [
  "width", "height", "batch_size", "seed", "noise_seed", "steps", "cfg", "guidance", "sampler_name", "scheduler", "denoise",
  "ckpt_name", "unet_name", "clip_name", "vae_name", "lora_name", "strength_model",
];
const mostMain = 30;

/**
 * plan sorts all inputs of a graph. main is [{name, fields}] with the groups that come first; nodes is [{id, title,
 * type, known, fields}] with everything else, in the order of running.
 */
export function plan(graph, info) {
  const role = roles(graph, info);
  const main = groups.map(([name]) => ({ name, fields: [] }));
  const nodes = [];
  let count = 0;
  for (const id of order(graph)) {
    const about = info[graph[id].class_type];
    const rest = [];
    for (const f of fieldsOf(graph, id, info, role)) {
      const at = groups.findIndex(([, fits]) => fits(f));
      if (at < 0 || f.kind === "link" || f.kind === "socket" || count >= mostMain) rest.push(f);
      else {
        main[at].fields.push(f);
        count += 1;
      }
    }
    nodes.push({ id, title: title(graph, id, info), type: graph[id].class_type, known: Boolean(about), fields: rest });
  }
  for (const g of main) arrange(g, graph, info);
  return { main: main.filter((g) => g.fields.length), nodes };
}

/** fieldsOf lists the inputs of one node. */
export function fieldsOf(graph, id, info, role = new Map()) {
  const node = graph[id];
  const out = [];
  const seen = new Set();
  for (const [name, type, options, required] of declared(info[node.class_type], node.inputs)) {
    seen.add(name);
    const kind = kindOf(name, type, options, node.inputs[name]);
    if (kind === "socket" && (!required || !(typeof type === "string" && /^[A-Z_]+$/.test(type)) || type.startsWith("COMFY_"))) continue;
    out.push(field(graph, id, name, kind, type, options, required, role));
  }
  for (const [name, v] of Object.entries(node.inputs)) {
    if (!seen.has(name)) out.push(field(graph, id, name, kindOf(name, undefined, {}, v), undefined, {}, false, role));
  }
  return out;
}

function field(graph, id, name, kind, type, options, required, role) {
  const base = name.slice(name.lastIndexOf(".") + 1);
  const node = graph[id];
  return {
    id, name, kind, required, options, type: node.class_type, role: role.get(id),
    choices: choicesOf(type, options), value: node.inputs[name] ?? standard(type, options),
    label: options.display_name || labels[base] || human(base), tooltip: options.tooltip ?? "", advanced: Boolean(options.advanced),
  };
}

const roleNames = { positive: "Prompt", negative: "Negative prompt" };

/** arrange sorts a group and gives fields with the same label their node's title. */
function arrange(group, graph, info) {
  const place = (f) => (group.name === "Prompt" ? (f.role === "negative" ? 1 : 0) : inGroup.indexOf(f.name));
  group.fields.sort((a, b) => place(a) - place(b));
  if (group.name === "Prompt") {
    for (const f of group.fields) {
      const own = hasOwnTitle(graph, f.id, info) || !roleNames[f.role];
      f.label = own ? title(graph, f.id, info) : roleNames[f.role];
    }
  }
  const times = new Map();
  for (const f of group.fields) times.set(f.label, (times.get(f.label) ?? 0) + 1);
  for (const f of group.fields) {
    if (times.get(f.label) > 1) f.label = `${f.label} (${title(graph, f.id, info)}, ${f.id})`;
  }
}
