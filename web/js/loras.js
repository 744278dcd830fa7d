// Adding a LoRA to a graph, and taking it out again.
import { isLink } from "./workflow.js";

/** loraNames lists the LoRA files that the server offers. */
export function loraNames(info) {
  const spec = info.LoraLoader?.input?.required?.lora_name;
  const list = Array.isArray(spec?.[0]) ? spec[0] : spec?.[1]?.options;
  return Array.isArray(list) ? list : [];
}

/** isLora reports whether a node is a LoRA loader of the kinds that addLora makes. */
export function isLora(node) {
  return node?.class_type === "LoraLoader" || node?.class_type === "LoraLoaderModelOnly";
}

function outputAt(info, node, type) {
  return (info[node.class_type]?.output ?? []).indexOf(type);
}

/** source finds the node whose MODEL output a LoRA goes behind: the last LoRA of the first loader, else that loader. */
function source(graph, info) {
  const loads = ([, n]) => outputAt(info, n, "MODEL") >= 0 && !Object.values(n.inputs).some((v) => isLink(v) && info[graph[v[0]]?.class_type]?.output?.[v[1]] === "MODEL");
  let [id] = Object.entries(graph).find(loads) ?? [];
  for (let next = id; next !== undefined;) {
    id = next;
    next = Object.keys(graph).find((k) => isLora(graph[k]) && isLink(graph[k].inputs.model) && graph[k].inputs.model[0] === id);
  }
  return id;
}

/** relink leads every link from one output to another one, except those of a node. */
function relink(graph, from, to, except) {
  for (const [id, node] of Object.entries(graph)) {
    if (id === except) continue;
    for (const [name, v] of Object.entries(node.inputs)) {
      if (isLink(v) && v[0] === from[0] && v[1] === from[1]) node.inputs[name] = [...to];
    }
  }
}

/** addLora puts a LoRA between the model's loader and what uses the model. It returns the new node's id, null when no model is loaded. */
export function addLora(graph, info, file) {
  const from = source(graph, info);
  if (from === undefined) return null;
  const model = [from, outputAt(info, graph[from], "MODEL")];
  const clipOutput = outputAt(info, graph[from], "CLIP");
  const id = String(Math.max(0, ...Object.keys(graph).map(Number).filter(Number.isFinite)) + 1);
  const both = clipOutput >= 0;
  const inputs = { lora_name: file, strength_model: 1, ...(both && { strength_clip: 1 }), model, ...(both && { clip: [from, clipOutput] }) };
  graph[id] = { class_type: both ? "LoraLoader" : "LoraLoaderModelOnly", inputs, _meta: { title: "LoRA" } };
  relink(graph, model, [id, 0], id);
  if (both) relink(graph, [from, clipOutput], [id, 1], id);
  return id;
}

/** removeLora takes a LoRA loader out and leads its links to what it was fed with. */
export function removeLora(graph, id) {
  const { model, clip } = graph[id].inputs;
  if (isLink(model)) relink(graph, [id, 0], model, id);
  if (isLink(clip)) relink(graph, [id, 1], clip, id);
  delete graph[id];
}
