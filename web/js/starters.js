// Workflows to begin with, made for the models that the server has.

/** checkpoints lists the checkpoints that the server offers, those that it can use first. */
function checkpoints(info, described) {
  const spec = info.CheckpointLoaderSimple?.input?.required?.ckpt_name;
  const list = Array.isArray(spec?.[0]) ? spec[0] : spec?.[1]?.options;
  if (!Array.isArray(list)) return [];
  const worst = (name) => (described?.get(`checkpoints/${name}`)?.usable === false ? 1 : 0);
  return [...list].sort((a, b) => worst(a) - worst(b));
}

/** settings are the size and the guidance that suit a model family; SD 1.5's where it is not known. */
function settings(family) {
  if (/flux/i.test(family)) return { side: 1024, cfg: 1 };
  if (/xl|sd3|stable diffusion 3|aura|lumina|chroma|hidream|qwen/i.test(family)) return { side: 1024, cfg: /sd3|stable diffusion 3/i.test(family) ? 4.5 : 6 };
  return { side: 512, cfg: 7 };
}

const node = (type, name, inputs) => ({ class_type: type, inputs, _meta: { title: name } });

function common(model) {
  return {
    "4": node("CheckpointLoaderSimple", "Load Checkpoint", { ckpt_name: model.name }),
    "6": node("CLIPTextEncode", "Prompt", { text: "", clip: ["4", 1] }),
    "7": node("CLIPTextEncode", "Negative prompt", { text: "", clip: ["4", 1] }),
    "8": node("VAEDecode", "VAE Decode", { samples: ["3", 0], vae: ["4", 2] }),
    "9": node("SaveImage", "Save Image", { filename_prefix: "comfygo", images: ["8", 0] }),
  };
}

function sampler(model, latent, denoise) {
  return node("KSampler", "KSampler", {
    seed: 0, steps: 20, cfg: model.cfg, sampler_name: "euler", scheduler: "normal", denoise, model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: latent,
  });
}

const all = [
  {
    id: "text", name: "Text to image", about: "Describe an image and have it made.",
    make: (model) => ({
      ...common(model), "3": sampler(model, ["5", 0], 1), "5": node("EmptyLatentImage", "Empty Latent Image", { width: model.side, height: model.side, batch_size: 1 }),
    }),
  },
  {
    id: "picture", name: "Image to image", about: "Start from an image of yours and change it.",
    make: (model) => ({
      ...common(model), "3": sampler(model, ["11", 0], 0.6), "10": node("LoadImage", "Image", { image: "" }),
      "11": node("VAEEncode", "VAE Encode", { pixels: ["10", 0], vae: ["4", 2] }),
    }),
  },
];

/** starters lists those workflows whose nodes and models are there: {id, name, about, graph}. described says what model files are. */
export function starters(info, demo, described) {
  const out = demo ? [{ id: "demo", name: "Demo", about: "Small images by the built-in model, in a second.", graph: demo }] : [];
  const [name] = checkpoints(info, described);
  if (name === undefined) return out;
  const model = { name, ...settings(described?.get(`checkpoints/${name}`)?.family ?? "") };
  for (const s of all) {
    const graph = s.make(model);
    if (Object.values(graph).every((n) => info[n.class_type])) out.push({ id: s.id, name: s.name, about: s.about, graph });
  }
  return out;
}
