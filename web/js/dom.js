// Building elements. Everything that comes from outside goes in as text: nothing here takes markup.

/**
 * h makes an element. props: class, text, on ({event: handler}), data ({key: value}), style ({--x: value}), ref, and
 * attributes. Attributes that are false, null or undefined are left out, true ones are empty.
 */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  set(el, props ?? {});
  add(el, children);
  return el;
}

const special = {
  class: (el, v) => { el.className = Array.isArray(v) ? v.filter(Boolean).join(" ") : v; },
  text: (el, v) => { el.textContent = String(v); },
  value: (el, v) => { el.value = v; },
  on: (el, v) => { for (const [name, f] of Object.entries(v)) el.addEventListener(name, f); },
  data: (el, v) => { for (const [name, x] of Object.entries(v)) el.dataset[name] = String(x); },
  style: (el, v) => { for (const [name, x] of Object.entries(v)) el.style.setProperty(name, String(x)); },
};

/** set puts props on an element, as h does. */
export function set(el, props) {
  for (const [name, v] of Object.entries(props)) {
    if (v === undefined || v === null) continue;
    if (special[name]) special[name](el, v);
    else if (/^on/i.test(name)) throw new Error(`setting ${name}: handlers go into on`);
    else if (v === false) el.removeAttribute(name);
    else el.setAttribute(name, v === true ? "" : link(name, String(v)));
  }
  return el;
}

/** link keeps addresses to those that a page may show: ours, blobs of ours, and the web. */
function link(name, value) {
  if (name !== "href" && name !== "src") return value;
  const scheme = /^\s*([a-z][a-z0-9+.-]*):/i.exec(value)?.[1].toLowerCase();
  return !scheme || scheme === "http" || scheme === "https" || scheme === "blob" ? value : "#";
}

/** add appends children: elements, strings, lists of them; null and false are left out. */
function add(el, ...children) {
  for (const c of children.flat(Infinity)) {
    if (c === null || c === undefined || c === false) continue;
    el.append(c instanceof Node ? c : document.createTextNode(String(c)));
  }
  return el;
}

/** fill replaces the contents of an element. */
export function fill(el, ...children) {
  el.replaceChildren();
  return add(el, children);
}

let count = 0;

/** uid makes an id that no other element has. */
export function uid(word) {
  count += 1;
  return `${word}-${count}`;
}

/** button makes a button that does not send a form. */
export function button(label, props = {}, ...children) {
  const { icon, quiet, primary, danger, ...rest } = props;
  const name = ["btn", quiet && "quiet", primary && "primary", danger && "danger", icon && !label && "square", rest.class];
  return h("button", { type: "button", ...rest, class: name }, icon, label && h("span", { text: label }), children);
}

/** later returns f delayed until ms after its last call. */
export function later(f, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...args), ms);
  };
}
