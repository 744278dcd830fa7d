package v2

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

const (
	// labelsKey is the field of extra_data that keeps the labels of a job.
	labelsKey     = "metadata"
	maxLabels     = 16
	maxLabelKey   = 64
	maxLabelValue = 512
	partnerKey    = "api_key_comfy_org"
)

// postJob checks a workflow and queues it. Statuses: 201, 413, 422, 429, 503.
func (a *API) postJob(c echo.Context) error {
	body, err := a.object(c)
	if err != nil {
		return err
	}
	s, err := submission(body)
	if err != nil {
		return err
	}
	var job *queue.Job
	if err := a.once(c, "jobs", func(receipt *queue.Receipt) error {
		if s.Receipt = receipt; receipt != nil {
			s.ID = receipt.JobID
		}
		job, err = a.submit(c, s)
		return err
	}); err != nil {
		return err
	}
	f, ok, err := a.find(c, job.ID)
	if err != nil {
		return err
	}
	if !ok { // removed at once by another request, and the log of events is not that far
		f = fromJob(job, Queued)
	}
	c.Response().Header().Set(echo.HeaderLocation, Prefix+"/jobs/"+job.ID)
	return a.sendJob(c, http.StatusCreated, f)
}

// submission reads the body of POST /jobs.
func submission(body *pyjson.Object) (Submission, error) {
	s := Submission{ID: uuid.NewString(), Extra: pyjson.NewObject("client_id", Client)}
	if err := onlyFields(body, "the body", "workflow", "extra_data", "metadata"); err != nil {
		return s, err
	}
	v, _ := body.Get("workflow")
	workflow, ok := v.(*pyjson.Object)
	if !ok {
		return s, problem(http.StatusUnprocessableEntity, InvalidWorkflow, "workflow must be an object, not %s", pyjson.TypeName(v))
	}
	if isUI(workflow) {
		return s, problem(http.StatusUnprocessableEntity, WorkflowFormatUI,
			"the workflow is in the editor's format; send the one that Export (API) writes")
	}
	s.Workflow = workflow
	if v, _ := body.Get("extra_data"); v != nil {
		extra, ok := v.(*pyjson.Object)
		if !ok {
			return s, invalid("extra_data must be an object")
		}
		if err := onlyFields(extra, "extra_data", partnerKey); err != nil {
			return s, err
		}
		key, err := texts(extra, partnerKey)
		if err != nil {
			return s, err
		}
		if key[partnerKey] != "" {
			s.Extra.Set(partnerKey, key[partnerKey])
		}
	}
	labels, err := readLabels(body)
	if err != nil {
		return s, err
	}
	if labels.Len() > 0 {
		s.Extra.Set(labelsKey, labels)
	}
	return s, nil
}

// isUI reports whether a workflow is one of the editor's.
func isUI(w *pyjson.Object) bool {
	nodes, _ := w.Get("nodes")
	_, list := nodes.([]any)
	return list && (w.Has("links") || w.Has("last_node_id") || w.Has("version"))
}

func readLabels(body *pyjson.Object) (*pyjson.Object, error) {
	v, _ := body.Get("metadata")
	if v == nil {
		return nil, nil
	}
	bad := func(format string, args ...any) (*pyjson.Object, error) {
		return nil, problem(http.StatusUnprocessableEntity, MetadataInvalid, format, args...)
	}
	labels, ok := v.(*pyjson.Object)
	if !ok {
		return bad("metadata must be an object of texts")
	}
	if labels.Len() > maxLabels {
		return bad("metadata has %d pairs; %d are allowed", labels.Len(), maxLabels)
	}
	for key, v := range labels.All() {
		text, ok := v.(string)
		switch {
		case key == "" || len(key) > maxLabelKey || strings.ContainsAny(key, "[]\x00"):
			return bad("the key %q of metadata must have 1 to %d bytes and no brackets", key, maxLabelKey)
		case !ok || len(text) > maxLabelValue:
			return bad("the value of %q in metadata must be a text of at most %d bytes", key, maxLabelValue)
		}
	}
	return labels, nil
}

// labelsOf are the labels that a job was sent with.
func labelsOf(extra *pyjson.Object) map[string]string {
	out := map[string]string{}
	for key, v := range extra.Object(labelsKey).All() {
		if text, ok := v.(string); ok {
			out[key] = text
		}
	}
	return out
}

// submit puts the files of assets into a workflow and queues it.
func (a *API) submit(c echo.Context, s Submission) (*queue.Job, error) {
	if err := (refs{a.caller, a.jobFolders}).resolve(c, s.Workflow); err != nil {
		return nil, err
	}
	job, verdict, err := a.cfg.Submit(c, s)
	if err == nil && job == nil {
		err = refused(verdict)
	}
	return job, err
}

// refused describes the faults of a workflow.
func refused(v executor.Verdict) *Problem {
	p := problem(http.StatusUnprocessableEntity, InvalidWorkflow, "the workflow cannot run")
	if text := v.Error.String("message"); text != "" {
		p.Message = text
	}
	if text := v.Error.String("details"); text != "" {
		p.Message += ": " + text
	}
	nodes := map[string]any{}
	for id, e := range v.NodeErrors.All() {
		o, _ := e.(*pyjson.Object)
		list, _ := o.Get("errors")
		entries, _ := list.([]any)
		errs := []map[string]any{}
		for _, e := range entries {
			one, _ := e.(*pyjson.Object)
			errs = append(errs, map[string]any{
				"field": nullable(one.Object("extra_info").String("input_name")), "reason": reason(one.String("type")),
				"message": one.String("message"), "details": one.String("details"),
			})
		}
		nodes[id] = errs
	}
	p.Details = map[string]any{"type": v.Error.String("type")}
	if len(nodes) > 0 {
		p.Details["node_errors"] = nodes
	}
	return p
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// reason is the contract's word for ComfyUI's type of a node's error.
func reason(typ string) string {
	if typ == "required_input_missing" {
		return "missing_input"
	}
	return typ
}
