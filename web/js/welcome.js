// What a visitor sees who has no model yet: what to put where.
import { copy } from "./api.js";
import { notice } from "./announce.js";
import { button, h } from "./dom.js";
import { icon } from "./icons.js";

/** The folders worth a word, each with the node that reads it: without that node, files there are of no use. */
const places = [
  ["checkpoints", "CheckpointLoaderSimple", "Checkpoints", "A whole model in one file, as Stable Diffusion 1.5. Start with one of these."],
  ["loras", "LoraLoader", "LoRAs", "Small files that change a model's style or subject."],
  ["vae", "VAELoader", "VAEs", "Decode latents to images, in place of the checkpoint's own VAE."],
  ["embeddings", "CLIPTextEncode", "Embeddings", "Textual inversions, used by name in prompts."],
];

/** pathRow shows a folder with a button that copies it. */
export function pathRow(path) {
  const done = () => notice("The folder's path is copied.");
  return h("span", { class: "path" }, h("code", { text: path }),
    button("", { icon: icon("copy"), quiet: true, "aria-label": `Copy ${path}`, title: "Copy the path", on: { click: () => copy(path).then(done, (e) => notice(`Copying failed: ${e.message}.`, { kind: "bad" })) } }));
}

/** welcome makes the page. folders is what /internal/folder_paths says; hooks: info(), look() and open(). */
export function welcome(folders, hooks) {
  const known = places.filter(([kind, reader]) => folders?.[kind]?.length && hooks.info()[reader]);
  return h("section", { class: "welcome", "aria-labelledby": "welcome-title" },
    h("h1", { id: "welcome-title", text: "Almost there: add a model" }),
    h("p", { class: "lead", text: "comfygo runs, and has no model yet. Put one into its folder, create the folder if it does not exist, and refresh: no restart is needed." }),
    h("ol", { class: "places" }, known.map(([kind, , name, about]) => h("li", { class: "card" }, h("h2", { text: name }), h("p", { text: about }), pathRow(folders[kind][0])))),
    h("div", { class: "row" },
      button("Refresh", { primary: true, icon: icon("refresh"), on: { click: hooks.look } }),
      button("Open a workflow", { icon: icon("open"), on: { click: hooks.open } })),
    h("p", { class: "hint" }, "Only want to see it work? Start the server with ", h("code", { text: "--demo-model" }), ", and it brings a tiny model of its own."));
}
