package prompts

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/jobs"
	"comfygo/server/reply"
)

// secretKeys are the keys of extra_data that are never shown again.
var secretKeys = []string{"auth_token_comfy_org", "api_key_comfy_org"}

// GetPrompt returns the number of remaining jobs.
func (s *Service) GetPrompt(c echo.Context) error {
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("exec_info",
		pyjson.NewObject("queue_remaining", int64(s.Access.Jobs(c).Remaining()))))
}

// PostPrompt checks a prompt and queues it.
func (s *Service) PostPrompt(c echo.Context) error {
	s.Log.Info("got prompt")
	patience, err := jobs.WaitQuery(c)
	if err != nil {
		return s.Reply.Complain(c, http.StatusBadRequest, err.Error())
	}
	data, err := s.Reply.ReadBody(c)
	if err != nil {
		return err
	}
	return s.once(c, data, patience, func(r *queue.Receipt) (*queue.Job, *pyjson.Object, error) { return s.putPrompt(c, data, r) })
}

// putPrompt queues a prompt and returns the job and the answer. It returns neither when it has answered itself. receipt is nil
// when the request has no key.
func (s *Service) putPrompt(c echo.Context, data []byte, receipt *queue.Receipt) (*queue.Job, *pyjson.Object, error) {
	body, err := pyjson.Unmarshal(data)
	if err != nil {
		return nil, nil, reply.Trouble("reading the request body: %w", err)
	}
	if request, ok := body.(*pyjson.Object); ok {
		if err := s.convertSaved(c, request); err != nil {
			return nil, nil, s.Refuse(c, "invalid_workflow", "The workflow cannot be converted", err.Error())
		}
		body = s.throughPacks(c, request)
	}
	number, err := s.placeOf(c, body)
	if err != nil {
		return nil, nil, err
	}
	if given, err := reply.Has(body, "prompt"); err != nil {
		return nil, nil, err
	} else if !given {
		return nil, nil, s.Refuse(c, "no_prompt", "No prompt provided", "No prompt provided")
	}
	request, ok := body.(*pyjson.Object)
	if !ok {
		return nil, nil, reply.Trouble("reading the prompt: the body is a %s, not an object", pyjson.TypeName(body))
	}
	id, ok := promptID(request, receipt)
	if !ok {
		return nil, nil, s.Refuse(c, "invalid_prompt_id", "prompt_id must be a valid UUID", "prompt_id must be a UUID string in "+
			"canonical lowercase hyphenated form; omit it to let the server generate one")
	}
	return s.validate(c, request, Candidate{ID: id, Number: number, Receipt: receipt})
}

// throughPacks lets the prompt handlers of node packs change a request. They do not see its options for comfygo, such as the secret of a
// webhook.
func (s *Service) throughPacks(c echo.Context, request *pyjson.Object) *pyjson.Object {
	if s.Packs == nil {
		return request
	}
	extra := request.Object("extra_data")
	options, given := extra.Get(optionsKey)
	if given {
		extra = extra.Clone()
		extra.Delete(optionsKey)
		request = request.Clone().Set("extra_data", extra)
	}
	changed := s.Packs(c.Request().Context(), request)
	if !given {
		return changed
	}
	if changed.Object("extra_data") == nil {
		changed = changed.Clone().Set("extra_data", pyjson.NewObject())
	}
	changed.Object("extra_data").Set(optionsKey, options)
	return changed
}

// Refuse answers 400 with a prompt error in the shape of POST /prompt.
func (s *Service) Refuse(c echo.Context, typ, message, details string) error {
	return s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", pyjson.NewObject("type", typ, "message", message,
		"details", details, "extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject()))
}

// number is the prompt's place in the queue: the client's, or the next of the counter, which refused prompts use up too.
func (s *Service) number(body any) (queue.Number, error) {
	given, err := reply.Has(body, "number")
	if err != nil {
		return queue.Number{}, err
	}
	if given {
		v, err := reply.Field(body, "number")
		if err != nil {
			return queue.Number{}, err
		}
		f, err := reply.ToFloat(v)
		if err != nil {
			return queue.Number{}, reply.Trouble("reading number: %w", err)
		}
		if math.IsNaN(f) { // it has no place among the others, nor in the queue's file
			return queue.Number{}, reply.Trouble("reading number: it is no number")
		}
		return queue.Number{Value: f, Float: true}, nil
	}
	front := false
	if given, err = reply.Has(body, "front"); err != nil {
		return queue.Number{}, err
	} else if given {
		v, err := reply.Field(body, "front")
		if err != nil {
			return queue.Number{}, err
		}
		front = reply.Truthy(v)
	}
	n, err := queue.NextOf(s.Queue)
	if front && n.Value != 0 {
		n.Value = -n.Value
	}
	return n, err
}

// promptID is the client's id, or that of the receipt or a new one without it; it reports false when the client's is not a canonical UUID.
func promptID(request *pyjson.Object, receipt *queue.Receipt) (string, bool) {
	v, _ := request.Get("prompt_id")
	switch {
	case v == nil && receipt != nil:
		return receipt.JobID, true
	case v == nil:
		return uuid.NewString(), true
	}
	id, ok := v.(string)
	return id, ok && reply.IsJobID(id)
}

func (s *Service) validate(c echo.Context, request *pyjson.Object, n Candidate) (*queue.Job, *pyjson.Object, error) {
	v, _ := request.Get("prompt")
	prompt, ok := v.(*pyjson.Object)
	if !ok {
		return nil, nil, reply.Trouble("reading the prompt: it is a %s, not an object", pyjson.TypeName(v))
	}
	var err error
	if n.Extra, err = extraData(c, request); err != nil {
		return nil, nil, err
	}
	n.Prompt = prompt
	n.targets, _ = request.Get("partial_execution_targets")
	job, verdict, err := s.Enqueue(c, n)
	var options *OptionsError
	switch {
	case errors.As(err, &options):
		return nil, nil, s.Refuse(c, "invalid_options", "extra_data.comfygo cannot be used", err.Error())
	case err != nil:
		return nil, nil, err
	case job == nil:
		return nil, nil, s.Reply.JSON(c, http.StatusBadRequest, pyjson.NewObject("error", verdict.Error, "node_errors", reply.OrEmpty(verdict.NodeErrors)))
	}
	return job, n.reply(verdict), nil
}

// Candidate is a prompt on its way into the queue.
type Candidate struct {
	ID      string
	Number  queue.Number
	Prompt  *pyjson.Object
	targets any // output nodes to run, nil for all
	Extra   *pyjson.Object
	// workflow is the name of the registered workflow that the prompt was made of, "" when a client has sent it.
	Workflow string
	Receipt  *queue.Receipt // nil when the request has no key
}

// reply is the answer to a prompt that is accepted.
func (n Candidate) reply(verdict executor.Verdict) *pyjson.Object {
	return pyjson.NewObject("prompt_id", n.ID, "number", n.Number.JSON(), "node_errors", reply.OrEmpty(verdict.NodeErrors))
}

// OptionsError is a wish beyond upstream's that cannot be fulfilled.
type OptionsError struct{ err error }

// Error names the option.
func (e *OptionsError) Error() string { return e.err.Error() }

// Enqueue checks a prompt and queues it. All prompts are queued through it. There is no job if the verdict rejects the prompt.
func (s *Service) Enqueue(c echo.Context, n Candidate) (*queue.Job, executor.Verdict, error) {
	var none executor.Verdict
	workflow, err := s.mayRun(c, n)
	if err != nil {
		return nil, none, err
	}
	if err := s.replaceNodes(n.Prompt); err != nil {
		return nil, none, err
	}
	if err := s.mayMake(c, n.Prompt, workflow); err != nil {
		return nil, none, err
	}
	ctx := executor.InWorkflow(s.Access.InFolders(c), n.Extra.Object("extra_pnginfo").Object("workflow"))
	verdict, err := s.Executor.Validate(ctx, n.ID, n.Prompt, n.targets)
	if err != nil {
		return nil, none, reply.Trouble("checking the prompt: %w", err)
	}
	if !verdict.OK {
		s.Log.Warn("invalid prompt", "type", verdict.Error.String("type"), "message", verdict.Error.String("message"))
		return nil, verdict, nil
	}
	options, err := s.takeOptions(n.Extra)
	if err != nil {
		return nil, none, &OptionsError{err}
	}
	job := &queue.Job{Number: n.Number, ID: n.ID, Prompt: n.Prompt, Extra: n.Extra, Outputs: verdict.Outputs, Secrets: takeSecrets(n.Extra), Options: options}
	n.Extra.Set("create_time", time.Now().UnixMilli())
	if s.Traces != nil {
		job.Trace = s.Traces.Carry(c.Request().Context())
	}
	if job.Receipt = n.Receipt; job.Receipt != nil {
		if job.Receipt.Answer, err = pyjson.Marshal(n.reply(verdict)); err != nil {
			return nil, none, fmt.Errorf("answering: %w", err)
		}
	}
	if err := s.put(c, job, workflow); err != nil {
		return nil, none, err
	}
	return job, verdict, nil
}

// extraData returns the request's extra_data with the client's id and its own data.
func extraData(c echo.Context, request *pyjson.Object) (*pyjson.Object, error) {
	extra := pyjson.NewObject()
	if v, given := request.Get("extra_data"); given {
		o, ok := v.(*pyjson.Object)
		if !ok {
			return nil, reply.Trouble("reading extra_data: it is a %s, not an object", pyjson.TypeName(v))
		}
		extra = o
	}
	if v, given := request.Get("client_id"); given {
		extra.Set("client_id", v)
	}
	if source := c.Request().Header.Get("Comfy-Usage-Source"); source != "" && !extra.Has("comfy_usage_source") {
		extra.Set("comfy_usage_source", source)
	}
	return extra, nil
}

func takeSecrets(extra *pyjson.Object) *pyjson.Object {
	secrets := pyjson.NewObject()
	for _, key := range secretKeys {
		if v, ok := extra.Get(key); ok {
			secrets.Set(key, v)
			extra.Delete(key)
		}
	}
	return secrets
}
