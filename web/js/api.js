// Talking to the server: the one place that knows its address, how errors look, and what to do without a key.
import { parse, stringify } from "./json.js";

/** root is the address that all paths are relative to, so that the page also works below a proxy's prefix. */
const root = new URL(".", document.baseURI);

/** ApiError is an answer that is no success, or none at all (status 0). body is the answer's JSON, if it had any. */
export class ApiError extends Error {
  constructor(message, status, body) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.body = body;
  }
}

/** events tells about "unauthorized": the server wants a key. */
export const events = new EventTarget();

/** address makes the full address of a path with a query. */
export function address(path, query) {
  const url = new URL(path, root);
  for (const [name, v] of Object.entries(query ?? {})) {
    if (v !== undefined && v !== null) url.searchParams.set(name, String(v));
  }
  return url;
}

/** call asks the server. body is sent as JSON unless it is a FormData. The answer is what its JSON holds, or its text. */
export async function call(path, { method = "GET", body, query, signal, headers = {} } = {}) {
  const init = { method, signal, headers: { ...headers }, credentials: "same-origin" };
  if (body instanceof FormData) init.body = body;
  else if (body !== undefined) {
    init.body = stringify(body);
    init.headers["Content-Type"] = "application/json";
  }
  let answer, text;
  try {
    answer = await fetch(address(path, query), init);
    text = await answer.text();
  } catch (cause) {
    if (cause.name === "AbortError") throw cause;
    throw new ApiError("The server cannot be reached.", 0, null);
  }
  const value = read(answer, text);
  if (answer.ok) return value;
  if (answer.status === 401) events.dispatchEvent(new Event("unauthorized"));
  throw new ApiError(complaint(answer.status, value), answer.status, value);
}

/** get, post, put, patch and del are call with their methods. */
export const get = (path, query, options) => call(path, { query, ...options });
export const post = (path, body, options) => call(path, { method: "POST", body, ...options });
export const put = (path, body, options) => call(path, { method: "PUT", body, ...options });
export const patch = (path, body, options) => call(path, { method: "PATCH", body, ...options });
export const del = (path, options) => call(path, { method: "DELETE", ...options });

function read(answer, text) {
  if (!(answer.headers.get("Content-Type") ?? "").includes("json")) return text;
  try {
    return text ? parse(text) : null;
  } catch {
    return text;
  }
}

/** complaint is what an answer says went wrong, in words. */
function complaint(status, value) {
  const error = value?.error;
  if (typeof error === "string") return error;
  if (error?.message) return error.details && error.details !== error.message ? `${error.message}: ${error.details}` : error.message;
  if (typeof value?.message === "string") return value.message;
  const words = { 401: "The server asks for a key.", 403: "This is not allowed.", 404: "Not found.", 413: "This is too large for the server.", 429: "Too many requests. Please wait a moment." };
  return words[status] ?? `The server answered ${status}.`;
}

/** fileURL is where a file of the server's is seen: {filename, subfolder, type}. */
export function fileURL(file, query) {
  return address("view", { filename: file.filename, subfolder: file.subfolder ?? "", type: file.type ?? "output", ...query }).href;
}

/** copy puts text on the clipboard, also where browsers keep the modern way for HTTPS. */
export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser does not let pages copy");
}
