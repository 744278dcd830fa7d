// Runs a workflow and saves its images, with events from the Comfy API v2: node client.mjs SERVER WORKFLOW.json FOLDER
// Node 18 or later, no packages. With COMFYGO_API_KEY set, the key is shown.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const [server, workflow, folder] = process.argv.slice(2);
const headers = process.env.COMFYGO_API_KEY ? { Authorization: `Bearer ${process.env.COMFYGO_API_KEY}` } : {};

async function call(link, init = {}) {
  const answer = await fetch(new URL(link, server), { ...init, headers: { ...headers, ...init.headers } });
  if (!answer.ok) throw new Error(`${link}: ${answer.status} ${await answer.text()}`);
  return answer;
}

const submitted = await call("/api/v2/jobs", {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
  body: JSON.stringify({ workflow: JSON.parse(await readFile(workflow, "utf8")) }),
});
const job = await submitted.json();

// Server-sent events: blocks of "name: value" lines with a blank line behind each.
const events = await call(job.urls.events, { headers: { Accept: "text/event-stream" } });
let buffer = "";
for await (const chunk of events.body.pipeThrough(new TextDecoderStream())) {
  buffer += chunk;
  for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
    const lines = buffer.slice(0, end).split("\n");
    const field = (name) => lines.find((l) => l.startsWith(name + ": "))?.slice(name.length + 2);
    const data = JSON.parse(field("data") ?? "{}");
    if (field("event") === "progress") console.error(`${Math.round(100 * data.value)} % ${data.message ?? ""}`);
    if (field("event") === "status") console.error(data.status);
  }
}

const done = await (await call(job.urls.self)).json();
if (done.status !== "succeeded") throw new Error(`the job ended ${done.status}: ${done.error?.message ?? ""}`);
await mkdir(folder, { recursive: true });
for (const output of done.outputs.filter((o) => o.type === "image")) {
  const file = path.join(folder, path.basename(output.name));
  await writeFile(file, Buffer.from(await (await call(new URL(output.url).pathname)).arrayBuffer()));
  console.log(file);
}
