// Drives the Comfy API v2 with the npm package @comfyorg/sdk as it is: upload, dedup, job, events, download, cancel, errors.
// Run with COMFY_BASE_URL set, and COMFY_TEST_IMAGE naming a PNG.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { pathToFileURL } from "node:url";
import path from "node:path";


const load = (name) => import(pathToFileURL(path.join(process.env.COMFYGO_SDK_ROOT, "node_modules", name)));
const { Comfy } = await load("@comfyorg/sdk/dist/index.js");
const { zJob, zAsset } = await load("@comfyorg/sdk/dist/low/generated/zod.gen.js");


const client = new Comfy({ apiKey: process.env.COMFY_API_KEY || undefined });
const workflow = () =>
  client.workflows.fromJson({
    1: { class_type: "LoadImage", inputs: { image: "" } },
    2: { class_type: "ImageScaleBy", inputs: { image: ["1", 0], upscale_method: "nearest-exact", scale_by: 2 } },
    3: { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "sdk" } },
  });

// Upload, and the same bytes again.
const asset = client.assets.fromFile(process.env.COMFY_TEST_IMAGE);
await asset.commit();
assert.equal(asset.createdNew, true);
const twin = client.assets.fromFile(process.env.COMFY_TEST_IMAGE);
await twin.commit();
assert.equal(twin.createdNew, false);
assert.equal(twin.hash, asset.hash);

// Job and its events.
const wf = workflow();
wf.setInput("1", "image", asset);
const job = await client.submit(wf);
const seen = new Set();
let end = "";
for await (const event of job.events()) {
  seen.add(event.kind);
  if (event.kind === "statusChange") end = event.status;
}
assert.equal(end, "succeeded");
assert.ok(seen.has("statusChange"));
await job.result();

// What the server says is what the contract allows.
const headers = process.env.COMFY_API_KEY ? { Authorization: `Bearer ${process.env.COMFY_API_KEY}` } : {};
const raw = async (what) => (await fetch(`${process.env.COMFY_BASE_URL}/api/v2/${what}`, { headers })).json();
zJob.parse(await raw(`jobs/${job.id}`));
zAsset.parse(await raw(`assets/${asset.id}`));

// Outputs: the whole of it, and a part.
const outputs = job.getOutputs("3");
assert.equal(outputs.length, 1);
assert.equal(outputs[0].type, "image");
const bytes = Buffer.from(await outputs[0].toBytes());
assert.equal(bytes.subarray(1, 4).toString(), "PNG");
const part = Buffer.from(await outputs[0].toBytes({ range: [0, 4] }));
assert.deepEqual(part, bytes.subarray(0, 5));
const image = await readFile(process.env.COMFY_TEST_IMAGE);
assert.equal(bytes.readUInt32BE(16), 2 * image.readUInt32BE(16));

// Found again by its id alone, with its workflow.
const again = await client.jobs.get(job.id);
assert.equal(again.status, "succeeded");
assert.equal((await again.getWorkflow()).format, "api");
assert.equal((await again.cancel()).status, "succeeded");

// Errors are typed.
const code = async (f) => {
  try {
    await f();
  } catch (e) {
    return e.code;
  }
  return "none";
};
const broken = client.workflows.fromJson({ 1: { class_type: "NoSuchNode", inputs: {} } });
assert.equal(await code(() => client.submit(broken)), "invalid_workflow");
const key = "11111111-2222-4333-8444-555555555555";
const once = workflow();
once.setInput("1", "image", asset);
await (await client.submit(once, { idempotencyKey: key })).result();
assert.equal(await code(() => client.submit(once, { idempotencyKey: key })), "idempotency_key_reuse");
assert.equal(await code(() => client.jobs.get("9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b")), "not_found");
console.log("ok", [...seen].sort().join(" "));
