package openapi

import "net/http"

const (
	get, post, put, patch = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch
	remove, head          = http.MethodDelete, http.MethodHead
)

// Answers that many methods share.
var (
	ownerParam = query("owner", "string", "with a key store: whose jobs or files; administrators see everyone's")
	badRequest = answer{status: 400, contentType: jsonType, shape: "PromptError", what: "the request cannot be used", codes: []string{"bad_request"}}
	overQuota  = answer{status: 413, contentType: jsonType, shape: "PromptError", what: "the role's limit on all uploads would be exceeded", codes: []string{"upload_quota_exceeded"}}
	tooLarge   = text(413, "the body is larger than --max-upload-size")
	noMemory   = answer{status: 507, contentType: jsonType, shape: "PromptError", what: "the image needs more memory than is free or --max-memory allows", codes: []string{"out_of_memory"}}
	unfit      = answer{status: 400, contentType: jsonType, shape: "PromptError", what: "the body is no JSON of the form that is expected", codes: []string{"bad_request"}}
	noQueue    = answer{status: 503, contentType: jsonType, shape: "PromptError", what: "the queue takes no jobs now; Retry-After says when to come again", codes: []string{"queue_unavailable", "shutting_down"}}
	noAnswer   = answer{status: 504, contentType: jsonType, shape: "PromptError", what: "with a queue in NATS: it is not known whether the change was made; look for it or send it again", codes: []string{"queue_uncertain"}}
	storeFull  = answer{status: 507, contentType: jsonType, shape: "PromptError", what: "with a queue in NATS: its store has no room; nothing was changed", codes: []string{"queue_store_full"}}
	queueFull  = answer{status: 429, contentType: jsonType, shape: "PromptError", what: "too many prompts are waiting; Retry-After says when to come again", codes: []string{"queue_full"}}
)

func plain(status int, what string) answer {
	return answer{status: status, contentType: jsonType, shape: "PlainError", what: what}
}

var promptGroup = group{"prompts", "Sending workflows to the queue and reading what became of them: ComfyUI's own routes.", []op{
	{
		method: get, path: "/prompt", summary: "How many jobs remain", params: []param{ownerParam},
		answers: []answer{ok(`{exec_info! {queue_remaining! integer}}`, "")},
	},
	{
		method: post, path: "/api/workflow/convert", summary: "Turn a saved workflow into a prompt", more: "Nothing is queued. The body is a workflow that the editor has saved, or holds it as workflow.",
		params: []param{ownerParam}, body: takes("object", ""), answers: []answer{ok(`{prompt! object}`, ""), {400, jsonType, "PromptError", "it cannot be converted", []string{"invalid_workflow", "bad_request"}}, tooLarge},
	},
	{
		method: post, path: "/prompt", summary: "Queue a workflow",
		more: "prompt is a workflow in API form (node id to class_type and inputs), or one that the editor has saved. With Idempotency-Key the same request " +
			"can be sent again without a second job. extra_data.comfygo may hold priority, time_limit, labels and webhook.",
		params: []param{
			query("wait", "number", "wait for the job's end, so many seconds at most, and answer with its result"),
			header("Idempotency-Key", "a name for the request; the same one later gets the same answer"),
			header("Comfy-User", "the user, with --multi-user"), header("Comfy-Usage-Source", "what the client says it is, kept in extra_data"), ownerParam,
		},
		body: takes(`{prompt! object; client_id any; prompt_id string?; number any; front any; extra_data object;
			partial_execution_targets []string?}`, ""),
		answers: []answer{
			ok("Accepted", "the job is in the queue; with ?wait= also its result"),
			{400, jsonType, "PromptError", "the workflow cannot run", []string{
				"bad_request", "no_prompt", "invalid_prompt_id", "invalid_prompt", "invalid_workflow", "prompt_no_outputs",
				"prompt_outputs_failed_validation", "missing_node_type", "invalid_options",
			}},
			plain(400, "a parameter or header cannot be used"),
			{403, jsonType, "PromptError", "the role may not run it", []string{"workflow_not_allowed", "too_many_megapixels"}},
			{409, jsonType, "PromptError", "a job with the prompt_id waits or runs, or is someone else's", []string{"invalid_prompt_id"}},
			tooLarge, plain(422, "the Idempotency-Key was used for another prompt"), queueFull, noQueue, noAnswer, storeFull,
		},
	},
	{
		method: get, path: "/queue", summary: "The running and the waiting jobs", params: []param{ownerParam},
		answers: []answer{ok(`{queue_running! [][]any; queue_pending! [][]any}`, "each job is number, id, prompt, extra_data, outputs")},
	},
	{
		method: post, path: "/queue", summary: "Clear the queue, or delete waiting jobs", params: []param{ownerParam},
		body: takes(`{clear any; delete any}`, ""), answers: []answer{empty(200, "done"), unfit, tooLarge, noQueue, noAnswer, storeFull},
	},
	{
		method: post, path: "/interrupt", summary: "Interrupt the running job", params: []param{ownerParam},
		body: mayTake(`any`, "{prompt_id} interrupts only that job"), answers: []answer{empty(200, "done"), unfit, tooLarge},
	},
	{
		method: post, path: "/free", summary: "Let go of models and results between two jobs",
		body: takes(`any`, "{unload_models, free_memory}"), answers: []answer{empty(200, "noted"), unfit, tooLarge},
	},
	{
		method: get, path: "/history", summary: "Finished jobs",
		params:  []param{query("max_items", "integer", "so many"), query("offset", "integer", "from there on; otherwise the last ones"), ownerParam},
		answers: []answer{ok("map HistoryEntry", "by prompt id"), badRequest},
	},
	{
		method: post, path: "/history", summary: "Forget finished jobs", params: []param{ownerParam},
		body: takes(`{clear any; delete any}`, ""), answers: []answer{empty(200, "done"), unfit, tooLarge, noQueue, noAnswer, storeFull},
	},
	{
		method: get, path: "/history/:prompt_id", summary: "A finished job", params: []param{ownerParam},
		answers: []answer{ok("map HistoryEntry", "{} when it is unknown or not finished")},
	},
	{
		method: get, path: "/ws", summary: "The WebSocket of events",
		more: "JSON messages are {type, data}: status, execution_start, execution_cached, executing, progress, progress_state, executed, execution_success, " +
			"execution_error, execution_interrupted. Binary messages begin with four bytes of their kind: 1 preview, 3 text, 4 preview with metadata.",
		params: []param{
			query("clientId", "string", "the client's id, so that it can come back"), query("events", "string", "numbered asks for a number in every message"),
			query("since", "string", "with numbers: the last one that was seen"), header("Upgrade", "websocket"),
		},
		answers: []answer{empty(101, "the connection is a WebSocket now"), text(400, "the request is no handshake of a WebSocket"), plain(400, "since is no number"), text(426, "the request is no handshake of a WebSocket"), text(503, "the server is shutting down"), {status: 503, contentType: jsonType, shape: "PromptError", what: "too many sockets are open, and all wait for jobs; Retry-After says when to come again", codes: []string{"too_many_connections"}}},
	},
}}

var jobsGroup = group{"jobs", "One view of waiting, running and finished jobs.", []op{
	{method: get, path: "/api/jobs", summary: "List jobs", params: []param{
		query("status", "string", "states, with commas: pending, in_progress, completed, failed, cancelled"), query("workflow_id", "string", "only those of a workflow"),
		query("sort_by", "string", "created_at or execution_duration"), query("sort_order", "string", "asc or desc"),
		query("limit", "string", "so many"), query("offset", "string", "from there on"), ownerParam,
	}, answers: []answer{ok(`{jobs! []Job; pagination! {offset! integer; limit! integer?; total! integer; has_more! boolean}}`, ""), plain(400, "a parameter cannot be used"), badRequest}},
	{
		method: get, path: "/api/jobs/:job_id", summary: "A job", params: []param{query("progress", "string", "true or 1: also how far it has come"), ownerParam},
		answers: []answer{ok("Job", ""), plain(404, "there is no such job")},
	},
	{
		method: post, path: "/api/jobs/:job_id/cancel", summary: "Cancel a job", params: []param{ownerParam},
		answers: []answer{ok(`{cancelled! boolean}`, ""), noQueue, noAnswer, storeFull},
	},
	{
		method: post, path: "/api/jobs/:job_id/share", summary: "Let others read a finished job", params: []param{ownerParam}, body: mayTake(`{shared boolean}`, "true unless it says false"),
		answers: []answer{ok(`{shared! boolean}`, ""), plain(400, "the body cannot be read"), plain(404, "there is no such job"), tooLarge, badRequest, noQueue, noAnswer, storeFull},
	},
	{
		method: post, path: "/api/jobs/cancel", summary: "Cancel jobs", params: []param{ownerParam}, body: takes(`{job_ids! []any}`, ""),
		answers: []answer{ok(`{cancelled! boolean}`, ""), with(400, `{error! string; invalid_ids []string}`, "the ids cannot be used"), tooLarge, badRequest, noQueue, noAnswer, storeFull},
	},
}}

var queueGroup = group{"queue", "comfygo's own: figures, order and events of the queue.", []op{
	{method: get, path: "/api/v1/queue", summary: "The queue's figures", params: []param{ownerParam}, answers: []answer{ok("QueueState", "")}},
	{method: get, path: "/api/v1/packs", summary: "The Python processes of node packs, and the packs in them", answers: []answer{ok(`{processes! []{pack! string?; state! 'loading|ready|failed'; pid! integer; memory_bytes! integer; memory_peak_bytes! integer; gpu_bytes! integer; cpu_seconds! number; restarts! integer; reason string; loading string}; packs! []{name! string; path string; seconds number; error! string; classes! []string}; core! []string}`, "")}},
	{
		method: post, path: "/api/v1/packs/reload", summary: "Load node packs again, after the running job", body: takes(`{pack string}`, "one of them, else all"),
		answers: []answer{with(202, `{reload! string?}`, "they will be loaded; the message comfygo.packs_changed follows"), plain(400, "the body cannot be used"), badRequest, plain(404, "there is no such pack, or no Python"), plain(409, "the queue is in NATS: packs are loaded at the start of each process"), tooLarge},
	},
	{method: post, path: "/api/v1/queue/pause", summary: "Stop taking waiting jobs", params: []param{ownerParam}, answers: []answer{ok("QueueState", ""), noQueue, noAnswer, storeFull}},
	{method: post, path: "/api/v1/queue/resume", summary: "Take waiting jobs again", params: []param{ownerParam}, answers: []answer{ok("QueueState", ""), noQueue, noAnswer, storeFull}},
	{method: get, path: "/api/workers", summary: "The workers of a queue in NATS", answers: []answer{ok(`{shared! boolean; workers! []{id! string; name! string; version! string; device! string; vram_total! integer; vram_free! integer; labels! []string; models! []string; families! []string; classes! integer; protocol! integer; keyed! boolean; draining! boolean; finished! integer; prompt_id! string?; running_seconds! number?; silent_seconds! number?}}`, "")}},
	{method: post, path: "/api/workers/:id/drain", summary: "Let a worker take no more jobs", answers: []answer{ok(`{id! string; draining! boolean}`, ""), plain(404, "no worker has this id"), noQueue, noAnswer, storeFull}},
	{method: post, path: "/api/workers/:id/resume", summary: "Let a worker take jobs again", answers: []answer{ok(`{id! string; draining! boolean}`, ""), plain(404, "no worker has this id"), noQueue, noAnswer, storeFull}},
	{
		method: post, path: "/api/v1/queue/move", summary: "Move a waiting job", params: []param{ownerParam}, body: takes(`{prompt_id! string; position integer; before string}`, "either position or before"),
		answers: []answer{ok(`{moved! boolean}`, ""), plain(400, "the body cannot be used"), badRequest, plain(404, "no waiting job has this id"), tooLarge, noQueue, noAnswer, storeFull},
	},
	{
		method: post, path: "/api/v1/queue/priority", summary: "Change a waiting job's priority", params: []param{ownerParam}, body: takes(`{prompt_id! string; priority! 'low|normal|high'}`, ""),
		answers: []answer{ok(`{moved! boolean}`, ""), plain(400, "the body cannot be used"), badRequest, plain(404, "no waiting job has this id"), tooLarge, noQueue, noAnswer, storeFull},
	},
	{
		method: post, path: "/api/v1/queue/cancel", summary: "Cancel exactly one job", params: []param{ownerParam}, body: takes(`{prompt_id! string}`, ""),
		answers: []answer{ok(`{cancelled! 'running|pending'}`, "in which state it was"), plain(400, "the body cannot be used"), badRequest, plain(404, "no job has this id"), tooLarge, noQueue, noAnswer, storeFull},
	},
	{
		method: get, path: "/api/v1/queue/events", summary: "The log of the queue's events",
		params:  []param{query("after", "string", "only those behind this number"), query("limit", "string", "so many, 1000 at most"), ownerParam},
		answers: []answer{ok(`{events! []QueueEvent; last! integer}`, ""), plain(400, "a parameter cannot be used")},
	},
}}
