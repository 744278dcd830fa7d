// The control for a picture: choose one that the server has, drop one, paste one, or take one from the disk.
import { fileURL, post } from "./api.js";
import { button, h } from "./dom.js";
import { icon } from "./icons.js";
import { may } from "./me.js";

/** upload sends a file to the server's input folder and returns the name under which nodes know it. */
async function upload(file) {
  const form = new FormData();
  form.append("image", file, file.name || "pasted.png");
  form.append("type", "input");
  const answer = await post("upload/image", form);
  return answer.subfolder ? `${answer.subfolder}/${answer.name}` : answer.name;
}

/** place splits a name as LoadImage has it: "sub/name.png [output]". */
function place(name) {
  const [, path, type] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(String(name));
  const slash = path.lastIndexOf("/");
  return { filename: path.slice(slash + 1), subfolder: path.slice(0, Math.max(slash, 0)), type: type ?? "input" };
}

/** pictureControl makes the control; see fields.js for what it is given and returns. */
export function pictureControl(f, { id, change, invalid }) {
  const names = [...new Set([...f.choices.map(String)])];
  const select = h("select", { id });
  const picture = h("img", { alt: "", class: "input-picture", hidden: true, on: { error: () => { picture.hidden = true; } } });
  const file = h("input", { type: "file", accept: "image/*", class: "sr-only", tabindex: -1, "aria-label": `${f.label}: image from this device` });
  const busy = h("span", { class: "hint", text: "Drop or paste an image here" });

  const show = (name) => {
    const known = names.includes(name);
    select.replaceChildren(
      ...(known ? [] : [h("option", { text: name ? `${name} (not on this server)` : "No image yet" })]),
      ...names.map((n) => h("option", { text: n })),
    );
    select.selectedIndex = known ? names.indexOf(name) : 0;
    select.dataset.strange = String(!known);
    picture.hidden = !known;
    if (known) picture.src = fileURL(place(name));
  };
  const take = async (blob) => {
    busy.textContent = "Sending…";
    try {
      const name = await upload(blob);
      if (!names.includes(name)) names.unshift(name);
      show(name);
      invalid("");
      change(name);
      busy.textContent = "Drop or paste an image here";
    } catch (error) {
      busy.textContent = "Drop or paste an image here";
      invalid(`Sending the image failed. ${error.message}`);
    }
  };
  select.addEventListener("change", () => {
    const at = select.selectedIndex - (select.dataset.strange === "true" ? 1 : 0);
    if (at < 0) return;
    show(names[at]);
    invalid("");
    change(names[at]);
  });
  file.addEventListener("change", () => {
    if (file.files[0]) take(file.files[0]);
    file.value = "";
  });
  const zone = h("div", { class: "drop-zone", data: { drop: "picture" } }, picture,
    h("div", { class: "drop-side" }, select,
      may("POST /upload/image") && h("div", { class: "row" }, button("Choose a file", { icon: icon("upload"), on: { click: () => file.click() } }), busy), file));
  if (may("POST /upload/image")) listen(zone, take);
  show(f.value);
  if (!names.includes(f.value)) queueMicrotask(() => invalid(f.value ? "This image is not on the server. Drop it here, or choose another one." : "An image is needed here."));
  return { el: zone, target: select, wide: true, update: show };
}

/** listen takes pictures that are dropped on or pasted into an element, before the page takes them for a workflow. */
function listen(zone, take) {
  const image = (items) => [...items].find((i) => i.kind === "file" && i.type.startsWith("image/"));
  zone.addEventListener("dragover", (e) => {
    if (!image(e.dataTransfer.items)) return;
    e.preventDefault();
    e.stopPropagation();
    zone.dataset.over = "true";
  });
  zone.addEventListener("dragleave", () => { delete zone.dataset.over; });
  zone.addEventListener("drop", (e) => {
    delete zone.dataset.over;
    const file = [...e.dataTransfer.files].find((x) => x.type.startsWith("image/"));
    if (!file) return;
    e.preventDefault();
    e.stopPropagation();
    take(file);
  });
  zone.addEventListener("paste", (e) => {
    const file = image(e.clipboardData.items)?.getAsFile();
    if (!file) return;
    e.preventDefault();
    e.stopPropagation();
    take(file);
  });
}
