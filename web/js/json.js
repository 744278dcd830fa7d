// JSON that keeps whole numbers whole. Seeds have 64 bits, and JSON.parse would round those above 2^53: they become
// BigInt here. NaN and Infinity, which Python writes, become null.

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:Infinity|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|NaN/g;

/** newMark makes a beginning for marked numbers that no text of a stranger's can have. */
function newMark() {
  return `int:${Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join("")}:`;
}

/** parse reads JSON text. It throws SyntaxError as JSON.parse does. */
export function parse(text) {
  if (!/\d{16}|NaN|Infinity/.test(text)) return JSON.parse(text);
  const mark = newMark();
  const marked = text.replace(token, (part) => {
    if (part[0] === '"') return part;
    if (part.endsWith("y") || part === "NaN") return "null";
    const whole = /^-?\d{16,}$/.test(part) && !Number.isSafeInteger(Number(part));
    return whole ? JSON.stringify(mark + part) : part;
  });
  return JSON.parse(marked, (_, v) => (typeof v === "string" && v.startsWith(mark) ? BigInt(v.slice(mark.length)) : v));
}

/** stringify writes what parse has read. */
export function stringify(value, indent = 0) {
  const big = [];
  const mark = newMark();
  const text = JSON.stringify(
    value,
    (_, v) => {
      if (typeof v !== "bigint") return v;
      big.push(v.toString());
      return mark + (big.length - 1);
    },
    indent,
  );
  if (!big.length) return text;
  return text.replace(new RegExp(`"${mark}(\\d+)"`, "g"), (_, i) => big[Number(i)]);
}
