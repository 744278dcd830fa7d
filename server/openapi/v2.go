package openapi

func v2(status int, what string, codes ...string) answer {
	return answer{status, jsonType, "V2Error", what, codes}
}

var (
	v2Missing  = v2(404, "there is no such thing, or it is someone else's", "not_found")
	v2Invalid  = v2(422, "the request cannot be used", "invalid_request")
	v2Large    = v2(413, "the body is larger than --max-upload-size", "request_too_large")
	v2Nothing  = v2(501, "the server keeps no assets", "not_implemented")
	v2Unknown  = v2(504, "with a queue in NATS: it is not known whether the change was made; look for it or send it again", "service_unavailable")
	v2Full     = v2(507, "with a queue in NATS: its store has no room; nothing was changed", "service_unavailable")
	v2Later    = v2(503, "the server takes no jobs now; Retry-After says when to come again", "service_unavailable")
	v2Once     = header("Idempotency-Key", "good for one request: the same key later is refused with idempotency_key_reuse")
	limitParam = query("limit", "integer", "so many, 1 to 100; 50 unless given")
	after      = query("cursor", "string", "next_cursor of the page before")
	forwarded  = header("X-Forwarded-Proto", "https behind a proxy that ends TLS: the scheme of url")
)

var v2Assets = group{"v2 assets", "Comfy API v2: records over content that is known by its BLAKE3 hash. Clients: @comfyorg/sdk (npm), comfy-sdk (PyPI).", []op{
	{
		method: get, path: "/api/v2/assets", summary: "List assets, the newest first", more: "Not in Comfy's contract.",
		params:  []param{limitParam, after, query("tags", "string", "names, with commas, that an asset must have"), forwarded},
		answers: []answer{ok(`{assets! []V2Asset; next_cursor string}`, ""), v2(422, "", "invalid_cursor", "invalid_request"), v2Nothing},
	},
	{
		method: post, path: "/api/v2/assets", summary: "Upload an asset", params: []param{v2Once, forwarded},
		body: form(`{file! binary; content_type! string; file_path! string; expected_hash string; tags []string; expires_in integer}`, ""),
		answers: []answer{
			with(201, "V2Asset", "the bytes were not known"), ok("V2Asset", "the bytes were known"), v2(409, "the bytes have another hash", "hash_mismatch"),
			v2Large, v2(422, "", "idempotency_key_reuse", "invalid_request"), v2Nothing,
		},
	},
	{
		method: post, path: "/api/v2/assets/from-hash", summary: "Make an asset of known bytes", params: []param{forwarded}, body: takes(`{hash! string; file_path string?; tags []string?; expires_in integer?}`, ""),
		answers: []answer{with(201, "V2Asset", ""), ok("V2Asset", "there is the very same one"), v2(404, "the bytes are not known", "blob_not_found"), v2Large, v2Invalid, v2Nothing},
	},
	{method: head, path: "/api/v2/assets/by-hash/:hash", summary: "Are bytes known?", answers: []answer{empty(200, "yes"), {404, "", "", "no", []string{"blob_not_found"}}, empty(501, "the server keeps no assets")}},
	{method: get, path: "/api/v2/assets/:id", summary: "An asset", params: []param{forwarded}, answers: []answer{ok("V2Asset", ""), v2Missing, v2Nothing}},
	{method: remove, path: "/api/v2/assets/:id", summary: "Delete an asset's record; its bytes stay", answers: []answer{empty(204, ""), v2(403, "it is someone else's", "forbidden"), v2Missing, v2Nothing}},
	{
		method: get, path: "/api/v2/assets/:id/content", summary: "An asset's bytes",
		params:  []param{header("Range", "bytes=first-last"), header("If-None-Match", ""), header("If-Match", "")},
		answers: []answer{file(200, anyType, ""), file(206, anyType, "the range"), empty(304, ""), v2Missing, empty(412, ""), empty(416, "the range cannot be had"), v2Nothing},
	},
}}

var v2Jobs = group{"v2 jobs", "Comfy API v2: one execution of a workflow, to poll or to listen to.", []op{
	{
		method: get, path: "/api/v2/jobs", summary: "List jobs, the newest first",
		params:  []param{limitParam, after, query("metadata", "object", "metadata[key]=value: only jobs with this label"), ownerParam},
		answers: []answer{ok(`{jobs! []{id! string; status! V2Status; create_time! time; update_time! time; metadata! map string}; next_cursor string}`, ""), v2(422, "", "invalid_cursor", "invalid_metadata_filter", "invalid_request")},
	},
	{
		method: post, path: "/api/v2/jobs", summary: "Run a workflow", params: []param{v2Once, forwarded, ownerParam},
		more: `Where a file's name stands, {"__type": "core/ASSET", "info": {"id": ID}} may stand. metadata are labels to find jobs by.`,
		body: takes(`{workflow! object; extra_data {api_key_comfy_org string}; metadata map string}`, ""),
		answers: []answer{
			with(201, "V2Job", "the job is in the queue"), v2(402, "never here: nothing costs credits", "insufficient_credits"),
			v2(403, "the role may not run it", "forbidden"), v2Large,
			v2(422, "", "invalid_workflow", "workflow_format_ui", "missing_asset", "idempotency_key_reuse", "metadata_invalid", "invalid_request"),
			v2(429, "too many jobs are waiting; Retry-After says when to come again", "queue_full"), v2Later, v2Unknown, v2Full, v2Nothing,
		},
	},
	{method: get, path: "/api/v2/jobs/:id", summary: "A job", params: []param{forwarded, ownerParam}, answers: []answer{ok("V2Job", ""), v2Missing}},
	{method: get, path: "/api/v2/jobs/:id/workflow", summary: "The workflow of a job", params: []param{ownerParam}, answers: []answer{ok(`{workflow! object; format! 'save|api'}`, ""), v2Missing}},
	{
		method: get, path: "/api/v2/jobs/:id/events", summary: "Events of a job, as server-sent events",
		more: "First where the job stands, then status, progress, preview and output as they come; the stream ends with the job. " +
			"Beyond Comfy's contract every event has an id: with Last-Event-ID a stream goes on where one was lost.",
		params:  []param{header("Last-Event-ID", "the id of the last event that was seen"), ownerParam, forwarded},
		answers: []answer{{200, "text/event-stream", "string", "", nil}, v2Missing, v2(429, "too many streams are open", "too_many_streams")},
	},
	{method: post, path: "/api/v2/jobs/:id/cancel", summary: "Ask for a job's end", params: []param{forwarded, ownerParam}, answers: []answer{ok("V2Job", "as it is now"), v2Missing, v2Later, v2Unknown, v2Full}},
}}
