// Reading the workflow out of a file: JSON, or what ComfyUI hides in its pictures. Everything here is data of
// strangers: sizes are checked before they are believed, and what is packed is unpacked up to a limit.
import { parse } from "./json.js";

const maxText = 64 << 20;

/** The texts that a file may hold: the graph in API form, the graph as the frontend draws it, and others' parameters. */
const wanted = new Set(["prompt", "workflow", "parameters"]);

/**
 * readFile returns what a dropped file is: {json} for a workflow, {texts: {prompt, workflow, parameters}} for a picture
 * or a model, {} when it holds nothing of the kind. It throws when the file is damaged.
 */
export async function readFile(file) {
  const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  if (starts(head, [0x89, 0x50, 0x4e, 0x47])) return { texts: await readPNG(await bytesOf(file)) };
  if (starts(head, [0x52, 0x49, 0x46, 0x46])) return { texts: readWebP(await bytesOf(file)) };
  if (starts(head, [0xff, 0xd8])) return { texts: readJPEG(await bytesOf(file)) };
  if (/\.(safetensors|latent)$/i.test(file.name ?? "")) return { texts: await readSafetensors(file) };
  if (/^(image|audio|video)\//.test(file.type)) return {};
  if (file.size > maxText) throw new Error("the file is too large to be a workflow");
  return { json: parse(await file.text()) };
}

async function bytesOf(file) {
  return new Uint8Array(await file.arrayBuffer());
}

function starts(bytes, sign) {
  return sign.every((b, i) => bytes[i] === b);
}

function view(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** decode reads text that should be Latin-1 or UTF-8 and is told neither. */
function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}

/** readPNG collects the text chunks tEXt, zTXt and iTXt of a PNG. */
async function readPNG(bytes) {
  const texts = {};
  const data = view(bytes);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = data.getUint32(at);
    const end = at + 8 + size;
    if (end + 4 > bytes.length) break; // cut short: what was read so far still counts
    const kind = decode(bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, end);
    if (kind === "tEXt" || kind === "zTXt" || kind === "iTXt") await textChunk(kind, body, texts);
    if (kind === "IEND") break;
    at = end + 4;
  }
  return texts;
}

async function textChunk(kind, body, texts) {
  const zero = body.indexOf(0);
  const name = decode(body.subarray(0, Math.max(zero, 0))).toLowerCase();
  if (zero < 1 || !wanted.has(name)) return;
  let rest = body.subarray(zero + 1);
  let packed = false;
  if (kind === "zTXt") {
    packed = true;
    rest = rest.subarray(1); // the method, of which there is one
  } else if (kind === "iTXt") {
    packed = rest[0] === 1;
    const language = rest.indexOf(0, 2);
    const translated = language < 0 ? -1 : rest.indexOf(0, language + 1);
    if (translated < 0) return;
    rest = rest.subarray(translated + 1);
  }
  texts[name] = decode(packed ? await inflate(rest) : rest);
}

/** inflate unpacks zlib's format, up to the limit. */
async function inflate(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > maxText) {
      await reader.cancel();
      throw new Error("the file's text is too large to be a workflow");
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** readWebP finds the EXIF block of a WebP. */
function readWebP(bytes) {
  const data = view(bytes);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = data.getUint32(at + 4, true);
    const kind = decode(bytes.subarray(at, at + 4));
    if (kind === "EXIF") return readEXIF(bytes.subarray(at + 8, at + 8 + size));
    at += 8 + size + (size % 2);
  }
  return {};
}

/** readJPEG finds the EXIF block of a JPEG. */
function readJPEG(bytes) {
  const data = view(bytes);
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const size = data.getUint16(at + 2);
    if (bytes[at + 1] === 0xe1) {
      const texts = readEXIF(bytes.subarray(at + 4, at + 2 + size));
      if (Object.keys(texts).length) return texts;
    }
    if (bytes[at + 1] === 0xda || size < 2) break;
    at += 2 + size;
  }
  return {};
}

/** readEXIF looks through the first directory for texts like "prompt:{...}", as ComfyUI writes them into Model and Make. */
function readEXIF(bytes) {
  const tiff = starts(bytes, [0x45, 0x78, 0x69, 0x66, 0, 0]) ? bytes.subarray(6) : bytes;
  const texts = {};
  if (tiff.length < 8) return texts;
  const data = view(tiff);
  const little = tiff[0] === 0x49;
  const directory = data.getUint32(4, little);
  if (directory + 2 > tiff.length) return texts;
  const count = data.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + i * 12;
    if (entry + 12 > tiff.length) break;
    const length = data.getUint32(entry + 4, little);
    if (data.getUint16(entry + 2, little) !== 2 || length < 8) continue; // 2 is text; short ones lie elsewhere
    const from = data.getUint32(entry + 8, little);
    if (from + length > tiff.length) continue;
    const text = decode(tiff.subarray(from, from + length)).replace(/\0+$/, "");
    const colon = text.indexOf(":");
    const name = text.slice(0, Math.max(colon, 0)).toLowerCase();
    if (wanted.has(name)) texts[name] = text.slice(colon + 1);
  }
  return texts;
}

/** readSafetensors looks into the header of a saved latent or model. */
async function readSafetensors(file) {
  if (file.size < 8) return {};
  const size = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  if (size > maxText || size + 8 > file.size) throw new Error("the file's header is damaged");
  const header = parse(await file.slice(8, 8 + size).text());
  const texts = {};
  for (const [name, text] of Object.entries(header.__metadata__ ?? {})) {
    if (wanted.has(name) && typeof text === "string") texts[name] = text;
  }
  return texts;
}
