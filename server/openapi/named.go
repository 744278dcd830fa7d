package openapi

// named are the shapes that more than one answer has.
var named = map[string]string{
	"PromptError": `{error! {type! string; message! string; details! string; extra_info! object}; node_errors object}`,
	"AssetError":  `{error! {code! string; message! string; details! any}}`,
	"PlainError":  `{error! string}`,
	"V2Error":     `closed{error! closed{code! string; message! string; details object?}}`,

	"Accepted":   `{prompt_id! string; number! number; node_errors! map NodeErrors; finished boolean; result HistoryEntry}`,
	"NodeErrors": `{errors! []NodeError; dependent_outputs! []string; class_type! string}`,
	"NodeError":  `{type! string; message! string; details! string; extra_info! object}`,
	"HistoryEntry": `{prompt []any; outputs map object; status {status_str 'success|error'; completed boolean; messages [][]any}?;
		meta object}`,
	"Job": `{id! string; status! 'pending|in_progress|completed|failed|cancelled'; priority number; create_time number?;
		execution_start_time number?; execution_end_time number?; execution_error object?; outputs_count! integer;
		previewable_outputs_count integer; preview_output object?; workflow_id string?; outputs map object; execution_status object?;
		workflow {prompt object?; extra_data object?}; progress JobProgress}`,
	"JobProgress": `{position! integer?; percent! number; node! string?; step! integer?; steps! integer?; eta_seconds! number?;
		nodes! map {class_type! string; seconds! number; finished! boolean; cached! boolean}}`,
	"QueueState": `{running! integer; pending! integer; history! integer; paused! boolean; draining! boolean; durable! boolean; error string}`,
	"QueueEvent": `{number! integer; time! time; type! string; prompt_id string; data object}`,
	"NodeClass": `{input! object; input_order! object; output! []any; output_is_list! []boolean?; output_name! []string; name! string;
		display_name! string?; description! string; category! string; output_node! boolean}`,
	"Saved":     `{name! string; subfolder! string; type! string; asset object}`,
	"FileEntry": `{path! string; size! integer; modified! number; created! number}`,
	"Device": `{name! string; type! string; index! integer?; vram_total! integer; vram_free! integer; torch_vram_total! integer;
		torch_vram_free! integer}`,

	"Asset": `{id! uuid; name! string; asset_hash string?; hash string?; size integer?; mime_type string?; tags []string; preview_url string?;
		preview_id string?; user_metadata object?; metadata object?; prompt_id string?; created_at string; updated_at string;
		last_access_time string?; created_new boolean}`,
	"TagChange": `{added []string; already_present []string; removed []string; not_present []string; total_tags! []string}`,
	"Scan":      `{scanned integer; total integer; created integer; skipped integer}?`,

	"V2Asset": `{id! string; hash! string?; size_bytes! integer; content_type! string; file_path string?; created_new boolean; created_at! time;
		url! string; url_expires_at! time; expires_at time?; job_id string?; tags []string}`,
	"V2Job": `{id! string; status! V2Status; created_at! time; started_at! time?; completed_at! time?; expires_at! time;
		queue_position! integer?; progress! V2Progress?; outputs! []V2Output; error! V2JobError?; metrics map integer?;
		urls! {self! string; events! string; cancel! string}; metadata map string}`,
	"V2Status": `'queued|running|succeeded|canceling|canceled|failed|expired'`,
	"V2Progress": `{value! number; nodes_done! integer; nodes_total! integer; current_node string?; current_node_class string?;
		step integer?; steps integer?; message string?}`,
	"V2Output": `{node_id! string; name! string; type! 'image|video|audio|text|file|latent'; content_type! string; size_bytes! integer;
		id! string; hash! string?; url! string; url_expires_at! time; job_id string?}`,
	"V2JobError": `{code! string; message! string; node_id string?; class_type string?; traceback string?}`,

	"Key": `{id! string; name! string; owner! string; user string; role string; created! time; expires time?; revoked time?;
		last_used time?; state! string; mask string; rotated_from string; key string}`,
	"User":     `{id! string; name! string; role! string; created! time; disabled boolean; subject string; keys integer}`,
	"Role":     `{name! string; builtin boolean; limits! object; users integer; permissions []{method! string; route! string; workflow string}}`,
	"Workflow": `{name string; title string; public boolean; free []{name! string; node! string; input! string}?; graph object?; created time; changed time}`,
	"Empty":    `{}`,
	"Number":   `integer`,
}
