package server

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"comfygo/executor"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// secretKeys are the keys of extra_data that nobody sees again.
var secretKeys = []string{"auth_token_comfy_org", "api_key_comfy_org"}

// getPrompt tells how many jobs remain.
func (s *Server) getPrompt(c echo.Context) error {
	return s.json(c, http.StatusOK, pyjson.NewObject("exec_info",
		pyjson.NewObject("queue_remaining", int64(s.jobs(c).Remaining()))))
}

// postPrompt checks a prompt and queues it.
func (s *Server) postPrompt(c echo.Context) error {
	s.log.Info("got prompt")
	patience, err := waitQuery(c)
	if err != nil {
		return s.complain(c, http.StatusBadRequest, err.Error())
	}
	data, err := s.readBody(c)
	if err != nil {
		return err
	}
	return s.once(c, data, patience, func(r *queue.Receipt) (*queue.Job, *pyjson.Object, error) { return s.putPrompt(c, data, r) })
}

// putPrompt queues a prompt and returns the job and the answer. It returns neither when it has answered itself. receipt is nil
// when the request has no key.
func (s *Server) putPrompt(c echo.Context, data []byte, receipt *queue.Receipt) (*queue.Job, *pyjson.Object, error) {
	body, err := pyjson.Unmarshal(data)
	if err != nil {
		return nil, nil, trouble("reading the request body: %w", err)
	}
	if request, ok := body.(*pyjson.Object); ok {
		if err := s.convertSaved(c, request); err != nil {
			return nil, nil, s.refuse(c, "invalid_workflow", "The workflow cannot be converted", err.Error())
		}
	}
	number, err := s.placeOf(c, body)
	if err != nil {
		return nil, nil, err
	}
	if given, err := has(body, "prompt"); err != nil {
		return nil, nil, err
	} else if !given {
		return nil, nil, s.refuse(c, "no_prompt", "No prompt provided", "No prompt provided")
	}
	request, ok := body.(*pyjson.Object)
	if !ok {
		return nil, nil, trouble("reading the prompt: the body is a %s, not an object", pyjson.TypeName(body))
	}
	id, ok := promptID(request)
	if !ok {
		return nil, nil, s.refuse(c, "invalid_prompt_id", "prompt_id must be a valid UUID", "prompt_id must be a UUID string in "+
			"canonical lowercase hyphenated form; omit it to let the server generate one")
	}
	return s.validate(c, request, candidate{id: id, number: number, receipt: receipt})
}

func (s *Server) refuse(c echo.Context, typ, message, details string) error {
	return s.json(c, http.StatusBadRequest, pyjson.NewObject("error", pyjson.NewObject("type", typ, "message", message,
		"details", details, "extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject()))
}

// number is the prompt's place in the queue: the client's, or the next of the counter, which refused prompts use up too.
func (s *Server) number(body any) (queue.Number, error) {
	given, err := has(body, "number")
	if err != nil {
		return queue.Number{}, err
	}
	if given {
		v, err := field(body, "number")
		if err != nil {
			return queue.Number{}, err
		}
		f, err := toFloat(v)
		if err != nil {
			return queue.Number{}, trouble("reading number: %w", err)
		}
		if math.IsNaN(f) { // it has no place among the others, nor in the queue's file
			return queue.Number{}, trouble("reading number: it is no number")
		}
		return queue.Number{Value: f, Float: true}, nil
	}
	front := false
	if given, err = has(body, "front"); err != nil {
		return queue.Number{}, err
	} else if given {
		v, err := field(body, "front")
		if err != nil {
			return queue.Number{}, err
		}
		front = truthy(v)
	}
	n := float64(s.queue.NextNumber())
	if front && n != 0 {
		n = -n
	}
	return queue.Number{Value: n}, nil
}

// toFloat is Python's float of a decoded value.
func toFloat(v any) (float64, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, nil
	case float64:
		return v, nil
	case string:
		f, ok := pyjson.ParseFloat(v)
		if !ok {
			return 0, fmt.Errorf("%q is no number", v)
		}
		return f, nil
	}
	return 0, fmt.Errorf("a %s is no number", pyjson.TypeName(v))
}

// promptID is the client's id, or a new one when it gives none; it reports false when the client's is no canonical UUID.
func promptID(request *pyjson.Object) (string, bool) {
	v, _ := request.Get("prompt_id")
	if v == nil {
		return uuid.NewString(), true
	}
	id, ok := v.(string)
	return id, ok && isJobID(id)
}

// isJobID reports whether an id is a UUID in its canonical form, lower case with hyphens.
func isJobID(id string) bool {
	u, err := uuid.Parse(id)
	return err == nil && u.String() == id
}

func (s *Server) validate(c echo.Context, request *pyjson.Object, n candidate) (*queue.Job, *pyjson.Object, error) {
	v, _ := request.Get("prompt")
	prompt, ok := v.(*pyjson.Object)
	if !ok {
		return nil, nil, trouble("reading the prompt: it is a %s, not an object", pyjson.TypeName(v))
	}
	var err error
	if n.extra, err = extraData(c, request); err != nil {
		return nil, nil, err
	}
	n.prompt = prompt
	n.targets, _ = request.Get("partial_execution_targets")
	job, verdict, err := s.enqueue(c, n)
	var options *optionsError
	switch {
	case errors.As(err, &options):
		return nil, nil, s.refuse(c, "invalid_options", "extra_data.comfygo cannot be used", err.Error())
	case err != nil:
		return nil, nil, err
	case job == nil:
		return nil, nil, s.json(c, http.StatusBadRequest, pyjson.NewObject("error", verdict.Error, "node_errors", orEmpty(verdict.NodeErrors)))
	}
	return job, n.reply(verdict), nil
}

// candidate is a prompt on its way into the queue.
type candidate struct {
	id      string
	number  queue.Number
	prompt  *pyjson.Object
	targets any // output nodes to run, nil for all
	extra   *pyjson.Object
	// workflow is the name of the registered workflow that the prompt was made of, "" when a client has sent it.
	workflow string
	receipt  *queue.Receipt // nil when the request has no key
}

// reply is the answer to a prompt that is accepted.
func (n candidate) reply(verdict executor.Verdict) *pyjson.Object {
	return pyjson.NewObject("prompt_id", n.id, "number", n.number.JSON(), "node_errors", orEmpty(verdict.NodeErrors))
}

// optionsError is a wish beyond upstream's that cannot be fulfilled.
type optionsError struct{ err error }

// Error says which wish that is.
func (e *optionsError) Error() string { return e.err.Error() }

// enqueue checks a prompt and queues it. Every way into the queue leads through here. There is no job when the verdict is
// against the prompt.
func (s *Server) enqueue(c echo.Context, n candidate) (*queue.Job, executor.Verdict, error) {
	var none executor.Verdict
	workflow, err := s.mayRun(c, n)
	if err != nil {
		return nil, none, err
	}
	if err := s.replaceNodes(n.prompt); err != nil {
		return nil, none, err
	}
	if err := s.mayMake(c, n.prompt, workflow); err != nil {
		return nil, none, err
	}
	verdict, err := s.cfg.Executor.Validate(executor.InWorkflow(s.inFolders(c), n.extra.Object("extra_pnginfo").Object("workflow")), n.id, n.prompt, n.targets)
	if err != nil {
		return nil, none, trouble("checking the prompt: %w", err)
	}
	if !verdict.OK {
		s.log.Warn("invalid prompt", "type", verdict.Error.String("type"), "message", verdict.Error.String("message"))
		return nil, verdict, nil
	}
	options, err := s.takeOptions(n.extra)
	if err != nil {
		return nil, none, &optionsError{err}
	}
	job := &queue.Job{Number: n.number, ID: n.id, Prompt: n.prompt, Extra: n.extra, Outputs: verdict.Outputs, Secrets: takeSecrets(n.extra), Options: options}
	n.extra.Set("create_time", time.Now().UnixMilli())
	if s.cfg.Traces != nil {
		job.Trace = s.cfg.Traces.Carry(c.Request().Context())
	}
	if job.Receipt = n.receipt; job.Receipt != nil {
		if job.Receipt.Answer, err = pyjson.Marshal(n.reply(verdict)); err != nil {
			return nil, none, fmt.Errorf("answering: %w", err)
		}
	}
	if err := s.put(c, job, workflow); err != nil {
		return nil, none, err
	}
	return job, verdict, nil
}

func orEmpty(o *pyjson.Object) *pyjson.Object {
	if o == nil {
		return pyjson.NewObject()
	}
	return o
}

// extraData is the request's extra_data with the client's id and what it says about itself.
func extraData(c echo.Context, request *pyjson.Object) (*pyjson.Object, error) {
	extra := pyjson.NewObject()
	if v, given := request.Get("extra_data"); given {
		o, ok := v.(*pyjson.Object)
		if !ok {
			return nil, trouble("reading extra_data: it is a %s, not an object", pyjson.TypeName(v))
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
