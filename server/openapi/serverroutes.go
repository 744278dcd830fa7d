package openapi

var serverGroup = group{"server", "How the server is.", []op{
	{method: get, path: "/health", summary: "Is the server well?", public: true, answers: []answer{ok(`{status! string; timestamp! number}`, "healthy, or degraded where models cannot run; with a key also devices, memory and processes"), with(503, `{status! string; error! string; timestamp! number}`, "")}},
	{method: get, path: "/ready", summary: "Does the server take jobs?", answers: []answer{ok(`{ready! boolean; timestamp! number}`, ""), with(503, `{ready! boolean; reason! string; timestamp! number}`, "")}},
	{method: get, path: "/system_stats", summary: "The machine and the program", answers: []answer{ok(`{system! object; devices! []Device}`, "")}},
	{method: get, path: "/features", summary: "What clients may count on", answers: []answer{ok("object", "")}},
	{method: get, path: "/metrics", summary: "Figures for Prometheus", answers: []answer{{200, textType, "string", "", nil}, text(503, "too many ask at once")}},
	{method: get, path: "/internal/logs", summary: "The log as one text", answers: []answer{ok("string", "")}},
	{method: get, path: "/internal/logs/raw", summary: "The log, line by line", answers: []answer{ok(`{entries! []{t! string; m! string}; size! {cols! integer; rows! integer}}`, "")}},
	{method: patch, path: "/internal/logs/subscribe", summary: "Get the log's lines at a WebSocket", body: takes(`any`, "{clientId, enabled}"), answers: []answer{empty(200, ""), badRequest, tooLarge}},
	{method: get, path: "/internal/folder_paths", summary: "The folders of each kind", answers: []answer{ok("object", "")}},
	{method: get, path: "/openapi.json", summary: "This document", params: []param{ifNone}, answers: []answer{ok("object", ""), empty(304, "")}},
}}

var pagesGroup = group{"pages", "For browsers.", []op{
	{method: get, path: "/", summary: "The frontend, or our own page", public: true, params: []param{ifNone, ifMatch, header("Range", "bytes=first-last"), ownerParam}, answers: []answer{{200, "text/html", "string", "", nil}, {206, "text/html", "string", "the range", nil}, empty(304, ""), empty(403, ""), empty(404, ""), text(404, ""), empty(412, ""), empty(416, "")}},
	{method: get, path: "/app", summary: "Our own page", public: true, answers: []answer{{200, "text/html", "string", "", nil}, empty(304, ""), text(404, "")}},
	{method: get, path: "/manage", summary: "The page for keys, users and roles", answers: []answer{{200, "text/html", "string", "", nil}, empty(304, ""), text(404, "there is no key store")}},
	{method: get, path: "/app/*", summary: "A file of our own page", public: true, answers: []answer{file(200, anyType, ""), empty(304, ""), empty(308, "to /app"), text(404, "")}},
	{method: get, path: "/manage", summary: "Our page for keys, users and roles", public: true, answers: []answer{{200, "text/html", "string", "", nil}, empty(304, ""), text(404, "")}},
	{method: get, path: "/docs/api", summary: "This document for people", answers: []answer{{200, "text/html", "string", "", nil}, empty(304, "")}},
}}
