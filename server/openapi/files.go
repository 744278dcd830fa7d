package openapi

var (
	ifNone  = header("If-None-Match", "the ETag of what the client has")
	ifMatch = header("If-Match", "the ETag that the file must have")
)

var nodesGroup = group{"nodes", "What there is to build workflows of.", []op{
	{method: get, path: "/object_info", summary: "All node classes", params: []param{ifNone, ownerParam}, answers: []answer{ok("map NodeClass", ""), empty(304, "nothing has changed")}},
	{method: get, path: "/object_info/:node_class", summary: "One node class", params: []param{ownerParam}, answers: []answer{ok("map NodeClass", "{} when it is unknown")}},
	{method: get, path: "/embeddings", summary: "Names of embeddings", answers: []answer{ok("[]string", "")}},
	{method: get, path: "/extensions", summary: "Scripts of the custom nodes' packs", answers: []answer{ok("[]string", "")}},
	{method: get, path: "/workflow_templates", summary: "Example workflows of the packs", answers: []answer{ok("map []string", "")}},
	{method: get, path: "/i18n", summary: "Translations of the packs", answers: []answer{ok("object", "")}},
	{method: get, path: "/global_subgraphs", summary: "Subgraphs of the packs", answers: []answer{ok("map object", "")}},
	{method: get, path: "/global_subgraphs/:id", summary: "One subgraph", answers: []answer{ok("object?", "null when it is unknown")}},
	{method: get, path: "/node_replacements", summary: "What replaces retired node classes", answers: []answer{ok("object", "")}},
}}

var filesGroup = group{"files", "Images and other files of the input, output and temp folders.", []op{
	{method: get, path: "/view", summary: "A file, a small preview of it, or one of its channels", params: []param{
		needed("filename", "string", "its name, or blake3:HASH of an asset"), query("type", "string", "output (unless given), input or temp"), query("subfolder", "string", ""),
		query("preview", "string", "FORMAT;QUALITY"), query("channel", "string", "rgb, a or rgba"), ownerParam, ifNone, ifMatch,
		header("Range", "bytes=first-last"), header("Sec-Fetch-Dest", "image lets SVG through"),
	}, answers: []answer{file(200, anyType, ""), file(206, anyType, "the range"), empty(304, ""), empty(400, "the name cannot be used"), badRequest, empty(403, "the name leads out of the folder"), empty(404, "there is no such file"), empty(412, ""), empty(416, "the range cannot be had"), text(413, "the image is too large to be looked at"), noMemory}},
	{method: get, path: "/view_metadata/:folder_name", summary: "The metadata of a safetensors file", params: []param{query("filename", "string", "")}, answers: []answer{ok("any", ""), empty(404, "")}},
	{
		method: post, path: "/upload/image", summary: "Upload an image", params: []param{ownerParam}, body: form(`{image! binary; type string; subfolder string; overwrite string}`, ""),
		answers: []answer{ok("Saved", ""), empty(400, "the form cannot be used"), badRequest, tooLarge, overQuota},
	},
	{
		method: post, path: "/upload/mask", summary: "Upload a mask for an image", params: []param{ownerParam}, body: form(`{image! binary; original_ref! string; type string; subfolder string; overwrite string}`, ""),
		answers: []answer{ok("Saved", ""), empty(400, "the form cannot be used"), badRequest, empty(403, "the original is outside of its folder"), empty(404, "there is no such original"), tooLarge, overQuota, noMemory},
	},
	{
		method: get, path: "/internal/files/:directory_type", summary: "Names of the files in a folder, the newest first", params: []param{ownerParam},
		answers: []answer{ok("[]string", ""), plain(400, "there is no such folder")},
	},
}}

var modelsGroup = group{"models", "Model files.", []op{
	{method: get, path: "/models", summary: "Kinds of models", answers: []answer{ok("[]string", "")}},
	{method: get, path: "/models/:folder", summary: "Model files of a kind", answers: []answer{ok("[]string", ""), empty(404, "there is no such kind")}},
	{
		method: get, path: "/api/v1/models/:folder", summary: "Model files of a kind: what they are and whether they can be used",
		answers: []answer{ok(`[]{name! string; size! integer; kinds any; family string?; usable boolean?; problem string?}`, "null where files of the kind are not described"), empty(404, "there is no such kind")},
	},
	{method: get, path: "/experiment/models", summary: "Kinds of models and their folders", answers: []answer{ok(`[]{name! string; folders! []string; extensions []string}`, "")}},
	{method: get, path: "/experiment/models/:folder", summary: "Model files of a kind, with sizes and times", answers: []answer{ok(`[]{name! string; pathIndex! integer; modified number; created number; size integer}`, ""), empty(404, "there is no such kind")}},
	{
		method: get, path: "/experiment/models/preview/:folder/:path_index/*", summary: "The preview image of a model file",
		answers: []answer{file(200, "image/webp", ""), empty(400, "the index is no number"), badRequest, empty(403, "the name leads out of the folder"), empty(404, "there is none"), noMemory},
	},
}}

func assetFails(status int, what string, codes ...string) answer {
	return answer{status, jsonType, "AssetError", what, codes}
}

var (
	assetOff     = assetFails(503, "the asset API is off; start with --enable-assets", "SERVICE_DISABLED")
	assetMissing = assetFails(404, "there is no such asset", "ASSET_NOT_FOUND")
	assetBody    = assetFails(400, "the body cannot be used", "INVALID_BODY", "INVALID_JSON")
	assetQuery   = assetFails(400, "a parameter cannot be used", "INVALID_QUERY", "INVALID_TAG_FILTER", "INVALID_CURSOR")
	noUser       = badRequest
	unrouted     = text(404, "the id is no UUID")
	unroutedPost = text(405, "the id is no UUID")
	tagFilters   = []param{
		query("include_tags", "string", "tags that all must be there, with commas or repeated"), query("exclude_tags", "string", "tags of which none may be there"),
		query("any_tags", "string", "tags of which one must be there"), query("name_contains", "string", ""), query("metadata_filter", "string", "a JSON object"),
	}
)

var assetsGroup = group{"assets", "ComfyUI's catalogue of files (--enable-assets).", []op{
	{method: head, path: "/api/assets/hash/:hash", summary: "Is content known?", answers: []answer{empty(200, "yes"), empty(404, "no"), {400, "", "", "the hash cannot be used", []string{"INVALID_HASH"}}, empty(503, "the asset API is off")}},
	{
		method: get, path: "/api/assets", summary: "List assets", params: append([]param{query("limit", "string", ""), query("offset", "string", ""), query("sort", "string", ""), query("order", "string", ""), query("after", "string", "a cursor")}, tagFilters...),
		answers: []answer{ok(`{assets! []Asset; total! integer; has_more! boolean; next_cursor string?}`, ""), assetQuery, noUser, assetOff},
	},
	{
		method: post, path: "/api/assets", summary: "Upload an asset", params: []param{header("Comfy-User", "the user, with --multi-user")}, body: form(`{file binary; hash string; tags string; name string; user_metadata string; mime_type string; preview_id string}`, ""),
		answers: []answer{with(201, "Asset", "new content"), ok("Asset", "known content"), assetFails(400, "the form cannot be used", "INVALID_BODY", "INVALID_HASH", "HASH_MISMATCH", "MISSING_FILE", "EMPTY_UPLOAD", "UNSUPPORTED_FIELD"), noUser, assetFails(404, "", "ASSET_NOT_FOUND"), tooLarge, overQuota, assetFails(415, "no form", "UNSUPPORTED_MEDIA_TYPE"), assetOff},
	},
	{
		method: post, path: "/api/assets/from-hash", summary: "Make an asset of known content", body: takes(`{hash string; name string?; tags any; user_metadata object?; mime_type string?; preview_id string?}`, ""),
		answers: []answer{with(201, "Asset", ""), assetBody, noUser, assetMissing, tooLarge, assetOff},
	},
	{
		method: get, path: "/api/assets/tags/refine", summary: "Tags of the assets that a filter lets through", params: append([]param{query("limit", "string", "")}, tagFilters...),
		answers: []answer{ok(`{tag_counts! map integer}`, ""), assetQuery, noUser, assetOff},
	},
	{
		method: post, path: "/api/assets/seed", summary: "Look for new files", params: []param{query("wait", "string", "true: answer when it is done")}, body: mayTake(`any`, "{roots: [models, input, output]}"),
		answers: []answer{ok(`{status! string; progress! Scan; errors! []string}`, "done"), with(202, `{status! string}`, "begun"), assetFails(400, "no such folders", "INVALID_BODY"), badRequest, with(409, `{status! string}`, "one is under way"), tooLarge, assetOff},
	},
	{method: get, path: "/api/assets/seed/status", summary: "What the scanner does", answers: []answer{ok(`{state! string; progress! Scan; errors! []string}`, ""), assetOff}},
	{method: post, path: "/api/assets/seed/cancel", summary: "End the running scan", answers: []answer{ok(`{status! string}`, ""), assetOff}},
	{method: post, path: "/api/assets/prune", summary: "Mark what has no file any more", answers: []answer{ok(`{status! string; marked! integer}`, ""), with(409, `{status! string; marked! integer}`, "a scan is under way"), assetOff}},
	{method: get, path: "/api/assets/:id", summary: "An asset", answers: []answer{ok("Asset", ""), noUser, assetMissing, unrouted, assetOff}},
	{method: put, path: "/api/assets/:id", summary: "Change an asset", body: takes(`{name string?; user_metadata object?; preview_id string?}`, ""), answers: []answer{ok("Asset", ""), assetBody, noUser, assetFails(403, "it is someone else's", "FORBIDDEN"), assetMissing, unroutedPost, tooLarge, assetOff}},
	{method: remove, path: "/api/assets/:id", summary: "Delete an asset", answers: []answer{empty(204, ""), noUser, assetFails(403, "it is someone else's", "FORBIDDEN"), assetMissing, unroutedPost, assetOff}},
	{
		method: get, path: "/api/assets/:id/content", summary: "An asset's file", params: []param{query("disposition", "string", "inline or attachment"), ifNone, ifMatch, header("Range", "bytes=first-last"), header("Sec-Fetch-Dest", "image lets SVG through")},
		answers: []answer{file(200, anyType, ""), file(206, anyType, "the range"), empty(304, ""), noUser, assetFails(404, "", "ASSET_NOT_FOUND", "FILE_NOT_FOUND"), unrouted, empty(412, ""), empty(416, "the range cannot be had"), assetOff},
	},
	{method: post, path: "/api/assets/:id/tags", summary: "Add tags", body: takes(`{tags any}`, ""), answers: []answer{ok("TagChange", ""), assetBody, noUser, assetFails(403, "", "FORBIDDEN"), assetMissing, unroutedPost, tooLarge, assetOff}},
	{method: remove, path: "/api/assets/:id/tags", summary: "Remove tags", body: takes(`{tags any}`, ""), answers: []answer{ok("TagChange", ""), assetBody, noUser, assetFails(403, "", "FORBIDDEN"), assetMissing, unroutedPost, tooLarge, assetOff}},
	{
		method: get, path: "/api/tags", summary: "List tags", params: []param{query("limit", "string", ""), query("offset", "string", ""), query("order", "string", "count_desc or name_asc"), query("prefix", "string", ""), query("include_zero", "string", "")},
		answers: []answer{ok(`{tags! []{name! string; count! integer}; total! integer; has_more! boolean}`, ""), assetQuery, noUser, assetOff},
	},
}}
