// The page's drawings, as strokes on a 24 by 24 field.

const shapes = {
  auto: ["M12 3a9 9 0 1 0 0 18z", "M12 3a9 9 0 0 1 0 18"],
  sun: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", "M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4"],
  moon: ["M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"],
  create: ["M4 20l1-4L16.5 4.5a2.1 2.1 0 0 1 3 3L8 19z", "M14 7l3 3"],
  queue: ["M8 6h12M8 12h12M8 18h12", "M4 6h.01M4 12h.01M4 18h.01"],
  gallery: ["M4 5h16v14H4z", "M4 16l5-5 4 4 3-3 4 4", "M15.5 9h.01"],
  history: ["M4 12a8 8 0 1 0 2.5-5.8L4 8.5", "M4 4v4.5h4.5", "M12 8v4.5l3 1.8"],
  models: ["M12 3l8 4.5v9L12 21l-8-4.5v-9z", "M4 7.5l8 4.5 8-4.5", "M12 12v9"],
  health: ["M3 12h4l2.5-6 4.5 12 2.5-6H21"],
  play: ["M7 5l12 7-12 7z"],
  audio: ["M9 18a2.5 2.5 0 1 1-2.5-2.5A2.5 2.5 0 0 1 9 18z", "M19 16a2.5 2.5 0 1 1-2.5-2.5A2.5 2.5 0 0 1 19 16z", "M9 18V6l10-2v12"],
  stop: ["M7 7h10v10H7z"],
  pause: ["M8 5v14M16 5v14"],
  dice: ["M5 5h14v14H5z", "M9 9h.01M15 9h.01M12 12h.01M9 15h.01M15 15h.01"],
  lock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 7 0v3"],
  unlock: ["M6 11h12v9H6z", "M8.5 11V8a3.5 3.5 0 0 1 6.8-1.2"],
  swap: ["M7 4L4 7l3 3", "M4 7h13", "M17 14l3 3-3 3", "M20 17H7"],
  open: ["M3 7a2 2 0 0 1 2-2h4l2 2.5h8a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z"],
  save: ["M12 4v11", "M7.5 11l4.5 4.5L16.5 11", "M5 20h14"],
  upload: ["M12 16V5", "M7.5 9L12 4.5 16.5 9", "M5 20h14"],
  trash: ["M5 7h14", "M10 4h4", "M7 7l1 13h8l1-13"],
  close: ["M6 6l12 12M18 6L6 18"],
  up: ["M6 14.5l6-6 6 6"],
  down: ["M6 9.5l6 6 6-6"],
  left: ["M14.5 6l-6 6 6 6"],
  right: ["M9.5 6l6 6-6 6"],
  top: ["M6 4h12", "M6 15l6-6 6 6", "M12 9v11"],
  check: ["M5 12.5l4.5 4.5L19 7"],
  warn: ["M12 4l9 16H3z", "M12 10v4.5M12 17.5h.01"],
  link: ["M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.6-5.7l-1 1", "M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.6 5.7l1-1"],
  copy: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  refresh: ["M20 12a8 8 0 1 1-2.5-5.8L20 8.5", "M20 4v4.5h-4.5"],
  more: ["M6 12h.01M12 12h.01M18 12h.01"],
  key: ["M15 4a5 5 0 1 1-4.6 7L4 17.5V20h3v-2h2v-2h2l1.6-1.6A5 5 0 0 1 15 4z", "M16 8.5h.01"],
  exit: ["M10 5H5v14h5", "M15 8l4 4-4 4", "M19 12H9"],
  user: ["M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z", "M4.5 20.5a7.5 7.5 0 0 1 15 0"],
  list: ["M5 4h14v16H5z", "M9 9h6M9 13h6M9 17h3"],
  plus: ["M12 5v14M5 12h14"],
};

const ns = "http://www.w3.org/2000/svg";

/** svg makes an SVG element. */
export function svg(tag, attributes, ...children) {
  const el = document.createElementNS(ns, tag);
  for (const [name, v] of Object.entries(attributes ?? {})) el.setAttribute(name, String(v));
  el.append(...children);
  return el;
}

/** icon draws one of the shapes; screen readers pass over it. */
export function icon(name) {
  const paths = (shapes[name] ?? shapes.more).map((d) => svg("path", { d }));
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, ...paths);
}
