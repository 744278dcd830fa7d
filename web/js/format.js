// Figures in words.

const units = ["B", "KB", "MB", "GB", "TB"];

/** bytes writes a size: 24.1 GB. Units count by 1024, as the server's log does. */
export function bytes(n) {
  let v = Number(n) || 0;
  let i = 0;
  while (v >= 1024 && i < units.length - 1) {
    v /= 1024;
    i += 1;
  }
  return `${v >= 100 || i === 0 ? Math.round(v) : v.toFixed(1)} ${units[i]}`;
}

/** duration writes milliseconds: 0.3 s, 12 s, 3 min 5 s, 2 h 4 min. */
export function duration(ms) {
  const s = Math.max(0, Number(ms) || 0) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min ${Math.round(s % 60)} s`;
  return `${Math.floor(min / 60)} h ${min % 60} min`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** ago writes how long a time (milliseconds) is past. */
export function ago(time, now = Date.now()) {
  const s = (Number(time) - now) / 1000;
  if (s > -45) return "just now";
  if (s > -3300) return relative.format(Math.round(s / 60), "minute");
  if (s > -79200) return relative.format(Math.round(s / 3600), "hour");
  return relative.format(Math.round(s / 86400), "day");
}

/** clock writes a time of day, or date and time when it is another day's. */
export function clock(time) {
  const d = new Date(Number(time));
  const today = d.toDateString() === new Date().toDateString();
  return d.toLocaleString("en", today ? { hour: "2-digit", minute: "2-digit", hour12: false } : { dateStyle: "medium", timeStyle: "short", hour12: false });
}

/** many writes a count with its word: 1 picture, 3 pictures. */
export function many(n, word, words = `${word}s`) {
  return `${n} ${Number(n) === 1 ? word : words}`;
}

const short = { clip: "CLIP", vae: "VAE", cfg: "CFG", lora: "LoRA", rgb: "RGB" };

/** human makes a label of an input's name: batch_size becomes Batch size. */
export function human(name) {
  const words = String(name).replace(/[_.]+/g, " ").trim().replace(/\b(clip|vae|cfg|lora|rgb)\b/gi, (w) => short[w.toLowerCase()]);
  return words.charAt(0).toUpperCase() + words.slice(1);
}
