package openapi

var (
	noSuchUser = text(401, "the user is unknown")
	outside    = empty(403, "the name leads out of the user's folder")
)

var overSettings = refuses(413, "the settings would exceed 64 MB, or all uploads the limit of the role", "settings_too_large", "upload_quota_exceeded")

var userGroup = group{"users", "Users, their settings and files.", []op{
	{method: get, path: "/users", summary: "Users", answers: []answer{ok(`{storage! string; migrated boolean; users map string}`, ""), badRequest}},
	{method: post, path: "/users", summary: "Add a user (--multi-user)", body: takes(`{username! any}`, ""), answers: []answer{ok("string", "the id"), plain(400, "the name is taken, or cannot be one"), badRequest, tooLarge}},
	{method: get, path: "/settings", summary: "All settings", answers: []answer{ok("object", ""), noSuchUser, badRequest}},
	{method: post, path: "/settings", summary: "Change settings", body: takes("any", ""), answers: []answer{empty(200, ""), badRequest, noSuchUser, tooLarge, overSettings}},
	{method: get, path: "/settings/:id", summary: "One setting", answers: []answer{ok("any", "null when it is not set"), noSuchUser, badRequest}},
	{method: post, path: "/settings/:id", summary: "Change one setting", body: takes("any", ""), answers: []answer{empty(200, ""), badRequest, noSuchUser, tooLarge, overSettings}},
	{
		method: get, path: "/userdata", summary: "List a user's files", params: []param{needed("dir", "string", "the folder"), query("recurse", "string", "true: those below it, too"), query("full_info", "string", "true: with sizes and times"), query("split", "string", "true: names in parts")},
		answers: []answer{ok("[]any", "names, parts of names, or FileEntry"), text(400, "dir is missing"), badRequest, text(403, "the name leads out of the user's folder"), empty(404, "there is no such folder"), outside},
	},
	{
		method: get, path: "/v2/userdata", summary: "List a folder of a user", params: []param{query("path", "string", "the folder")},
		answers: []answer{ok(`[]{name! string; path! string; type! 'file|directory'; size integer; modified number; created number}`, ""), text(400, ""), badRequest, text(403, ""), text(404, "there is no such folder"), plain(404, "")},
	},
	{method: get, path: "/userdata/:file", summary: "A user's file", params: []param{ifNone, ifMatch, header("Range", "bytes=first-last"), ownerParam}, answers: []answer{file(200, anyType, ""), file(206, anyType, ""), empty(304, ""), empty(400, ""), badRequest, outside, empty(404, ""), empty(412, ""), empty(416, "")}},
	{
		method: post, path: "/userdata/:file", summary: "Save a user's file", params: []param{query("overwrite", "string", "false: only a new one"), query("full_info", "string", "true: answer with size and times")},
		body: &body{contentType: anyType, shape: "binary", optional: true}, answers: []answer{ok("any", "its name, or FileEntry"), empty(400, ""), text(400, ""), badRequest, outside, empty(404, ""), text(409, "there is one"), tooLarge, overQuota},
	},
	{method: remove, path: "/userdata/:file", summary: "Delete a user's file", answers: []answer{empty(204, ""), empty(400, ""), badRequest, outside, empty(404, "")}},
	{
		method: post, path: "/userdata/:file/move/:dest", summary: "Move a user's file", params: []param{query("overwrite", "string", "false: only to a new name"), query("full_info", "string", "true: answer with size and times")},
		answers: []answer{ok("any", "its name, or FileEntry"), empty(400, ""), badRequest, outside, empty(404, ""), text(409, "there is one"), overQuota},
	},
}}

func refuses(status int, what string, codes ...string) answer {
	return answer{status, jsonType, "PromptError", what, codes}
}

var (
	storeBody    = refuses(400, "the body, a name or a number cannot be used", "bad_request")
	storeMissing = refuses(404, "there is no such thing, or no key store", "not_found")
	storeTaken   = refuses(409, "the name is taken", "exists")
)

var accessGroup = group{"access", "Log-in, keys, users and roles (--auth).", []op{
	{method: get, path: "/login", summary: "The page that asks for a key", public: true, params: []param{query("next", "string", "where to go afterwards")}, answers: []answer{{200, "text/html", "string", "", nil}, text(404, "no key is asked for")}},
	{
		method: post, path: "/login", summary: "Begin a session", public: true, params: []param{forwarded, header("Accept", "")}, body: &body{contentType: anyType, shape: "any", what: "a form or JSON with key"},
		answers: []answer{ok(`{name! string; role! string; expires any}`, ""), empty(303, "to the page that was asked for"), storeBody, refuses(401, "the key is wrong", "unauthorized"), {401, "text/html", "string", "", nil}, {429, "text/html", "string", "", nil}, refuses(403, "", "cross_site"), refuses(404, "", "not_found"), text(404, "no key is asked for"), text(405, "no key is asked for"), tooLarge, refuses(429, "too many log-ins failed", "rate_limited")},
	},
	{method: post, path: "/logout", summary: "End the session", public: true, params: []param{forwarded, header("Accept", "")}, answers: []answer{empty(204, ""), empty(303, ""), refuses(403, "", "cross_site"), text(405, "no key is asked for")}},
	{method: get, path: "/api/auth/me", summary: "Who one is", answers: []answer{ok(`{mode! 'off|keys|store'; id! string; name! string; role! string; admin! boolean; permissions []string}`, "")}},
	{method: post, path: "/api/auth/token", summary: "A short-lived token for a key", answers: []answer{ok(`{token! string; token_type! string; id string; expires time; expires_in integer}`, ""), storeBody, storeMissing}},
	{method: get, path: "/api/auth/oidc/login", summary: "Begin a log-in by OpenID Connect", public: true, params: []param{query("next", "string", ""), forwarded}, answers: []answer{empty(302, "to the provider"), empty(303, "to the provider"), storeMissing, refuses(502, "the provider cannot be reached", "upstream_error"), refuses(429, "too many log-ins", "rate_limited")}},
	{method: get, path: "/api/auth/oidc/callback", summary: "End a log-in by OpenID Connect", public: true, params: []param{forwarded, query("code", "string", ""), query("state", "string", ""), query("error", "string", "")}, answers: []answer{empty(303, ""), {200, "text/html", "string", "a page that goes on to the one that was asked for", nil}, storeBody, refuses(401, "", "unauthorized"), storeMissing, refuses(502, "", "upstream_error"), refuses(429, "", "rate_limited")}},
	{method: get, path: "/api/auth/keys", summary: "Keys", answers: []answer{ok(`{keys! []Key}`, ""), storeMissing}},
	{method: post, path: "/api/auth/keys", summary: "Make a key", body: takes(`{name string; user string; role string; expires_in number}`, ""), answers: []answer{with(201, "Key", "key is told only here"), storeBody, storeMissing, storeTaken, tooLarge}},
	{method: get, path: "/api/auth/keys/:id", summary: "A key", answers: []answer{ok("Key", ""), storeMissing}},
	{method: remove, path: "/api/auth/keys/:id", summary: "Revoke a key", answers: []answer{ok("Key", ""), storeMissing}},
	{method: post, path: "/api/auth/keys/:id/rotate", summary: "Replace a key", body: mayTake(`{overlap number}`, ""), answers: []answer{with(201, "Key", ""), storeBody, storeMissing, storeTaken, tooLarge}},
	{method: get, path: "/api/auth/users", summary: "Users", answers: []answer{ok(`{users! []User}`, ""), storeMissing}},
	{method: post, path: "/api/auth/users", summary: "Make a user", body: takes(`{name! string; role string}`, ""), answers: []answer{with(201, "User", ""), storeBody, storeMissing, storeTaken, tooLarge}},
	{method: get, path: "/api/auth/users/:id", summary: "A user", answers: []answer{ok("User", ""), storeMissing}},
	{method: patch, path: "/api/auth/users/:id", summary: "Change a user", body: takes(`{role string; disabled boolean}`, ""), answers: []answer{ok("User", ""), storeBody, storeMissing, tooLarge}},
	{method: remove, path: "/api/auth/users/:id", summary: "Delete a user", answers: []answer{empty(204, ""), storeBody, storeMissing}},
	{method: get, path: "/api/auth/roles", summary: "Roles", answers: []answer{ok(`{roles! []Role}`, ""), storeMissing}},
	{method: post, path: "/api/auth/roles", summary: "Make a role", body: takes(`{name! string; like string}`, ""), answers: []answer{with(201, "Role", ""), storeBody, storeMissing, storeTaken, tooLarge}},
	{method: get, path: "/api/auth/roles/:name", summary: "A role", answers: []answer{ok("Role", ""), storeMissing}},
	{method: patch, path: "/api/auth/roles/:name", summary: "Change a role's limits", body: takes(`{limits object}`, ""), answers: []answer{ok("Role", ""), storeBody, storeMissing, tooLarge}},
	{method: remove, path: "/api/auth/roles/:name", summary: "Delete a role", answers: []answer{empty(204, ""), storeBody, storeMissing}},
	{method: post, path: "/api/auth/roles/:name/permissions", summary: "Allow something", body: takes(`{method string; route! string; workflow string}`, ""), answers: []answer{ok("Role", ""), storeBody, storeMissing, tooLarge}},
	{method: remove, path: "/api/auth/roles/:name/permissions", summary: "Disallow something", params: []param{query("method", "string", ""), query("route", "string", ""), query("workflow", "string", "")}, answers: []answer{ok("Role", ""), storeBody, storeMissing}},
	{method: get, path: "/api/auth/permissions", summary: "What each role may do", answers: []answer{ok(`{permissions! []{method! string; route! string}}`, ""), storeMissing}},
	{method: get, path: "/api/auth/audit", summary: "The audit log", params: []param{query("after", "string", ""), query("limit", "string", ""), query("action", "string", ""), query("owner", "string", ""), query("key", "string", ""), query("since", "string", "")}, answers: []answer{ok("object", ""), storeBody, storeMissing}},
	{method: get, path: "/api/auth/sessions", summary: "Sessions", answers: []answer{ok("object", ""), storeMissing}},
	{method: remove, path: "/api/auth/sessions/:id", summary: "End a session", answers: []answer{empty(204, ""), storeMissing}},
	{method: get, path: "/api/workflows", summary: "The registered workflows that one may run", answers: []answer{ok(`{workflows! []Workflow}`, "")}},
	{method: post, path: "/api/workflows", summary: "Register a workflow", body: takes("Workflow", ""), answers: []answer{with(201, "Workflow", ""), tooLarge}},
	{method: get, path: "/api/workflows/:name", summary: "A registered workflow", answers: []answer{ok("Workflow", "")}},
	{method: put, path: "/api/workflows/:name", summary: "Register a workflow, or replace it", body: takes("Workflow", "without the name"), answers: []answer{ok("Workflow", ""), tooLarge}},
	{method: remove, path: "/api/workflows/:name", summary: "Take a workflow out of the register", answers: []answer{empty(204, "")}},
	{
		method: post, path: "/api/workflows/:name/run", summary: "Queue a registered workflow", params: []param{
			query("wait", "number", "wait for the job's end, so many seconds at most"), ownerParam,
			header("Idempotency-Key", ""), header("Comfy-User", ""),
		},
		body: mayTake(`{inputs object; client_id string}`, "inputs are the free ones, by name"),
		answers: []answer{
			ok("Accepted", ""), refuses(400, "the workflow cannot run", "bad_request", "invalid_prompt", "prompt_no_outputs", "prompt_outputs_failed_validation", "missing_node_type", "invalid_options"),
			plain(400, "wait cannot be used"), refuses(403, "", "workflow_not_allowed", "too_many_megapixels"), tooLarge, plain(422, ""), queueFull, noQueue, noAnswer, storeFull,
		},
	},
}}
