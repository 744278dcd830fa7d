// Workflows to begin with, made for the models that the server has.

/** checkpoints lists the checkpoints that the server offers. */
function checkpoints(info) {
  const spec = info.CheckpointLoaderSimple?.input?.required?.ckpt_name;
  const list = Array.isArray(spec?.[0]) ? spec[0] : spec?.[1]?.options;
  return Array.isArray(list) ? list : [];
}

const node = (type, name, inputs) => ({ class_type: type, inputs, _meta: { title: name } });

function common(info) {
  return {
    "4": node("CheckpointLoaderSimple", "Load Checkpoint", { ckpt_name: checkpoints(info)[0] }),
    "6": node("CLIPTextEncode", "Prompt", { text: "", clip: ["4", 1] }),
    "7": node("CLIPTextEncode", "Avoid", { text: "", clip: ["4", 1] }),
    "8": node("VAEDecode", "VAE Decode", { samples: ["3", 0], vae: ["4", 2] }),
    "9": node("SaveImage", "Save Image", { filename_prefix: "comfygo", images: ["8", 0] }),
  };
}

function sampler(latent, denoise) {
  return node("KSampler", "KSampler", {
    seed: 0, steps: 20, cfg: 7, sampler_name: "euler", scheduler: "normal", denoise, model: ["4", 0], positive: ["6", 0], negative: ["7", 0], latent_image: latent,
  });
}

const all = [
  {
    id: "text", name: "Text to picture", about: "Describe a picture and have it made.",
    make: (info) => ({
      ...common(info), "3": sampler(["5", 0], 1), "5": node("EmptyLatentImage", "Empty Latent Image", { width: 512, height: 512, batch_size: 1 }),
    }),
  },
  {
    id: "picture", name: "Picture to picture", about: "Start from a picture of yours and change it.",
    make: (info) => ({
      ...common(info), "3": sampler(["11", 0], 0.6), "10": node("LoadImage", "Picture", { image: "" }),
      "11": node("VAEEncode", "VAE Encode", { pixels: ["10", 0], vae: ["4", 2] }),
    }),
  },
];

/** starters lists those workflows whose nodes and models are there: {id, name, about, graph}. */
export function starters(info, demo) {
  const out = demo ? [{ id: "demo", name: "Demo", about: "Small pictures by the built-in model, in a second.", graph: demo }] : [];
  if (!checkpoints(info).length) return out;
  for (const s of all) {
    const graph = s.make(info);
    if (Object.values(graph).every((n) => info[n.class_type])) out.push({ id: s.id, name: s.name, about: s.about, graph });
  }
  return out;
}
