package jobs

import (
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// set puts a value into an object unless it is nil.
func set(o *pyjson.Object, key string, v any) {
	if v != nil {
		o.Set(key, v)
	}
}

// waitingJob is a job that has not come to its end, as /api/jobs shows it.
func waitingJob(j *queue.Job, state string) *pyjson.Object {
	o := pyjson.NewObject("id", j.ID, "status", state, "priority", j.Number.JSON())
	created, workflow := jobMetadata(j.Extra)
	set(o, "create_time", created)
	o.Set("outputs_count", int64(0)).Set("previewable_outputs_count", int64(0))
	set(o, "workflow_id", workflow)
	return o
}

func jobMetadata(extra *pyjson.Object) (created, workflow any) {
	created, _ = extra.Get("create_time")
	workflow, _ = extra.Object("extra_pnginfo").Object("workflow").Get("id")
	return created, workflow
}

// finishedJob returns a row of history as /api/jobs lists it, or nil if the row cannot be read.
func finishedJob(r *queue.Row) *pyjson.Object {
	job, _ := r.Memo(func(r *queue.Row) any { return summarize(readRow(r), r.ID) }).(*pyjson.Object)
	return job
}

// jobDetails is a row of history as /api/jobs/{id} shows it.
func jobDetails(r *queue.Row) *pyjson.Object {
	row := readRow(r)
	job := summarize(row, r.ID)
	if job == nil {
		return nil
	}
	prompt, extra := rowPrompt(row)
	status, _ := row.Get("status")
	return job.Set("outputs", normalOutputs(row.Object("outputs"))).Set("execution_status", status).
		Set("workflow", pyjson.NewObject("prompt", prompt, "extra_data", extra))
}

func readRow(r *queue.Row) *pyjson.Object {
	row, err := pyjson.UnmarshalObject(r.Text())
	if err != nil {
		return nil
	}
	return row
}

func rowPrompt(row *pyjson.Object) (prompt any, extra *pyjson.Object) {
	v, _ := row.Get("prompt")
	if list, ok := v.([]any); ok && len(list) == 5 {
		extra, _ = list[3].(*pyjson.Object)
		return list[2], extra
	}
	return nil, nil
}

func summarize(row *pyjson.Object, id string) *pyjson.Object {
	v, _ := row.Get("prompt")
	list, ok := v.([]any)
	if !ok || len(list) != 5 {
		return nil
	}
	_, extra := rowPrompt(row)
	created, workflow := jobMetadata(extra)
	run := readRun(row.Object("status"))
	outputs := countOutputs(row.Object("outputs"))
	o := pyjson.NewObject("id", id, "status", run.state)
	set(o, "priority", list[0])
	set(o, "create_time", created)
	set(o, "execution_start_time", run.start)
	set(o, "execution_end_time", run.end)
	if run.failure != nil {
		o.Set("execution_error", run.failure)
	}
	o.Set("outputs_count", outputs.count).Set("previewable_outputs_count", outputs.previewable)
	if p := outputs.best(); p != nil {
		o.Set("preview_output", p)
	}
	set(o, "workflow_id", workflow)
	return o
}

// run holds the data of a job's status messages.
type run struct {
	state      string
	start, end any
	failure    *pyjson.Object
}

func readRun(status *pyjson.Object) run {
	r := run{state: jobCompleted}
	interrupted := false
	v, _ := status.Get("messages")
	messages, _ := v.([]any)
	for _, m := range messages {
		pair, ok := m.([]any)
		if !ok || len(pair) < 2 {
			continue
		}
		data, ok := pair[1].(*pyjson.Object)
		if !ok {
			continue
		}
		at, _ := data.Get("timestamp")
		switch pair[0] {
		case "execution_start":
			r.start = at
		case "execution_success":
			r.end = at
		case "execution_error":
			r.end, r.failure = at, data
		case "execution_interrupted":
			r.end, interrupted = at, true
		}
	}
	if status.String("status_str") == "error" {
		r.state = jobFailed
		if interrupted {
			r.state = jobCancelled
		}
	}
	return r
}

var (
	previewableKinds = map[string]bool{"images": true, "video": true, "audio": true, "3d": true, "text": true}
	endings3D        = []string{".obj", ".fbx", ".gltf", ".glb", ".usdz"}
	endingsText      = []string{".txt", ".md", ".json"}
)

func hasEnding(name string, endings []string) bool {
	name = strings.ToLower(name)
	for _, e := range endings {
		if strings.HasSuffix(name, e) {
			return true
		}
	}
	return false
}

// outputItem returns an item of an output as an object: names of 3D files become one, other plain values are nil.
func outputItem(v any) *pyjson.Object {
	switch v := v.(type) {
	case *pyjson.Object:
		return v
	case string:
		if hasEnding(v, endings3D) {
			return pyjson.NewObject("filename", v, "type", "output", "subfolder", "", "mediaType", "3d")
		}
	}
	return nil
}

// normalOutputs is a job's outputs with names of 3D files as objects and without nulls.
func normalOutputs(outputs *pyjson.Object) *pyjson.Object {
	out := pyjson.NewObject()
	for node, v := range outputs.All() {
		kinds, ok := v.(*pyjson.Object)
		if !ok {
			out.Set(node, v)
			continue
		}
		normal := pyjson.NewObject()
		for kind, items := range kinds.All() {
			list, ok := items.([]any)
			if kind == "animated" || !ok {
				normal.Set(kind, items)
				continue
			}
			kept := []any{}
			for _, item := range list {
				if item == nil {
					continue
				}
				if o := outputItem(item); o != nil {
					item = o
				}
				kept = append(kept, item)
			}
			normal.Set(kind, kept)
		}
		out.Set(node, normal)
	}
	return out
}

// outputCount counts the outputs of a job and picks the preview: saved images, sounds and videos first, then temporary
// ones, then text files, then text.
type outputCount struct {
	count, previewable                int64
	saved, temporary, textFile, words *pyjson.Object
}

func (n *outputCount) best() *pyjson.Object {
	for _, p := range []*pyjson.Object{n.saved, n.temporary, n.textFile, n.words} {
		if p != nil {
			return p
		}
	}
	return nil
}

func countOutputs(outputs *pyjson.Object) *outputCount {
	n := &outputCount{}
	for node, v := range outputs.All() {
		kinds, _ := v.(*pyjson.Object)
		for kind, items := range kinds.All() {
			list, ok := items.([]any)
			if kind == "animated" || !ok {
				continue
			}
			for _, item := range list {
				n.add(node, kind, item)
			}
		}
	}
	return n
}

func (n *outputCount) add(node, kind string, v any) {
	item := outputItem(v)
	if item == nil {
		if kind == "text" && n.saved == nil && n.words == nil {
			n.words = textPreview(pyjson.Str(v)).Set("nodeId", node).Set("mediaType", kind)
		}
		return
	}
	n.count++
	if !previewable(kind, item) {
		return
	}
	n.previewable++
	if n.saved != nil {
		return
	}
	p := pyjson.NewObject().Merge(item).Set("nodeId", node)
	if !item.Has("mediaType") {
		p.Set("mediaType", kind)
	}
	switch {
	case kind == "text" || hasEnding(item.String("filename"), endingsText):
		if n.textFile == nil {
			n.textFile = p
		}
	case item.String("type") == "output":
		n.saved = p
	case n.temporary == nil:
		n.temporary = p
	}
}

func previewable(kind string, item *pyjson.Object) bool {
	format, name := item.String("format"), item.String("filename")
	return previewableKinds[kind] || strings.HasPrefix(format, "video/") || strings.HasPrefix(format, "audio/") ||
		hasEnding(name, endings3D) || hasEnding(name, endingsText)
}

// textPreviewLimit bounds the text of a preview in characters.
const textPreviewLimit = 1024

func textPreview(text string) *pyjson.Object {
	if r := []rune(text); len(r) > textPreviewLimit {
		return pyjson.NewObject("content", string(r[:textPreviewLimit]), "truncated", true)
	}
	return pyjson.NewObject("content", text)
}
