// A picture at full size, with what it was made from.
import { copy, fileURL, get, post } from "./api.js";
import { notice, trouble } from "./announce.js";
import { button, fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { may } from "./me.js";
import { fromFile } from "./open.js";
import { media } from "./stage.js";
import { isGraph, summarize, tidy } from "./workflow.js";

/**
 * lightbox shows entries from the one at index on. An entry is {item, job, graph, name}: the output, the job's id if it is
 * known, and the graph if it is at hand. context: {info(), use(graph, name), removed(job)}.
 */
export function lightbox(entries, index, context) {
  const stage = h("div", { class: "lb-stage" });
  const side = h("div", { class: "lb-side" });
  const place = h("p", { class: "lb-place" });
  const step = (by) => {
    index = (index + by + entries.length) % entries.length;
    draw();
  };
  const many = entries.length > 1;
  const dialog = h("dialog", { class: "lightbox", "aria-label": "Image" },
    h("div", { class: "lb-top" }, place,
      h("div", { class: "row" },
        many && button("", { icon: icon("left"), quiet: true, "aria-label": "Image before", on: { click: () => step(-1) } }),
        many && button("", { icon: icon("right"), quiet: true, "aria-label": "Next image", on: { click: () => step(1) } }),
        button("", { icon: icon("close"), quiet: true, "aria-label": "Close", on: { click: () => dialog.close() } }))),
    stage, side);

  async function draw() {
    const entry = entries[index];
    place.textContent = `${many ? `${index + 1} of ${entries.length} · ` : ""}${entry.item.file.filename}`;
    fill(stage, media(entry.item, "Image"));
    fill(side, h("p", { class: "hint", text: "Reading how it was made…" }));
    const graph = await graphOf(entry);
    if (entries[index] !== entry) return;
    fill(side, about(entry, graph));
    const img = stage.querySelector("img");
    if (img && graph) img.alt = summarize(graph, context.info()).positive || "Image";
  }

  function about(entry, graph) {
    const url = fileURL(entry.item.file);
    const actions = h("div", { class: "row wrap" },
      graph && context.use && button("Use this workflow", { primary: true, icon: icon("create"), on: { click: () => { dialog.close(); context.use(tidy(graph), entry.name || entry.item.file.filename.replace(/\.\w+$/, "")); } } }),
      h("a", { class: "btn", href: url, download: entry.item.file.filename }, icon("save"), h("span", { text: "Download" })),
      entry.job && context.removed && may("POST /history") && button("Remove from history", { icon: icon("trash"), title: "The file stays in the output folder.", on: { click: () => forget(entry) } }));
    if (!graph) return [actions, h("p", { class: "hint", text: "How it was made is not known: the file holds no workflow." })];
    const sum = summarize(graph, context.info());
    return [
      sum.positive && words("Prompt", sum.positive), sum.negative && words("Negative prompt", sum.negative),
      h("dl", { class: "facts" }, sum.settings.map(([k, v]) => h("div", {}, h("dt", { text: k }), h("dd", { text: v })))), actions,
    ];
  }

  function words(label, text) {
    const done = () => notice(`${label} copied.`);
    return h("section", { class: "words" }, h("div", { class: "words-head" }, h("h3", { text: label }),
      button("", { icon: icon("copy"), quiet: true, "aria-label": `Copy: ${label}`, title: "Copy", on: { click: () => copy(text).then(done, () => {}) } })), h("p", { text }));
  }

  async function forget(entry) {
    try {
      await post("history", { delete: [entry.job] });
    } catch (error) {
      trouble("Removing it from the history", error);
      return;
    }
    entries = entries.filter((e) => e.job !== entry.job);
    context.removed(entry.job);
    if (!entries.length) dialog.close();
    else step(0);
  }

  dialog.addEventListener("keydown", (e) => {
    if (e.target.closest("video, audio")) return;
    if (e.key === "ArrowLeft" && many) step(-1);
    if (e.key === "ArrowRight" && many) step(1);
  });
  dialog.addEventListener("click", (e) => e.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  draw();
  return dialog;
}

/** graphOf finds the graph behind an entry: at hand, from the job, or from inside the file. */
async function graphOf(entry) {
  if (entry.graph) return entry.graph;
  try {
    if (entry.job) {
      const job = await get(`api/jobs/${entry.job}`);
      if (isGraph(job.workflow?.prompt)) entry.graph = tidy(job.workflow.prompt);
    } else {
      const answer = await fetch(fileURL(entry.item.file));
      entry.graph = await fromFile(new File([await answer.blob()], entry.item.file.filename));
    }
  } catch {
    return null; // the picture is shown without its story then
  }
  return entry.graph ?? null;
}
