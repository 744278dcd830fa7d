package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// getQueue lists the running and the waiting jobs.
func (s *Server) getQueue(c echo.Context) error {
	running, pending := s.jobs(c).Snapshot()
	return s.json(c, http.StatusOK, pyjson.NewObject("queue_running", listings(running), "queue_pending", listings(pending)))
}

func listings(jobs []*queue.Job) []any {
	out := make([]any, len(jobs))
	for i, j := range jobs {
		out[i] = pyjson.Raw(j.Text())
	}
	return out
}

// postQueue clears the queue or deletes waiting jobs.
func (s *Server) postQueue(c echo.Context) error {
	view := s.jobs(c)
	return s.edit(c, s.audited(c, "queue", view.Clear), func(v any) error {
		id, _ := v.(string) // an id of another kind is no job's
		done, err := view.Delete(id)
		if done {
			s.note(c, auth.ActionDelete, auth.ResultOK, id, "from the queue")
		}
		return err
	})
}

// postHistory forgets finished jobs.
func (s *Server) postHistory(c echo.Context) error {
	view := s.jobs(c)
	return s.edit(c, s.audited(c, "history", view.ClearHistory), func(v any) error {
		switch v := v.(type) {
		case string:
			if view.Find(v) == nil {
				s.note(c, auth.ActionDelete, auth.ResultFailed, "history "+v, "there is no such entry")
				return nil
			}
			return s.audited(c, "history "+v, func() error { return view.DeleteHistory(v) })()
		case []any, *pyjson.Object:
			return trouble("deleting from the history: a %s is no id", pyjson.TypeName(v))
		}
		return nil
	})
}

// edit does what the bodies of POST /queue and POST /history ask for: {"clear": true} and {"delete": [ids]}.
func (s *Server) edit(c echo.Context, clearAll func() error, drop func(any) error) error {
	body, err := s.readJSON(c)
	if err != nil {
		return err
	}
	for _, key := range []string{"clear", "delete"} {
		given, err := has(body, key)
		if err != nil {
			return err
		}
		if !given {
			continue
		}
		v, err := field(body, key)
		if err != nil {
			return err
		}
		if key == "clear" {
			if truthy(v) {
				if err := clearAll(); err != nil {
					return err
				}
			}
			continue
		}
		ids, err := elements(v)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := drop(id); err != nil {
				return err
			}
		}
	}
	return s.empty(c, http.StatusOK)
}

// elements is what Python iterates over in a value.
func elements(v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case string:
		out := []any{}
		for _, r := range v {
			out = append(out, string(r))
		}
		return out, nil
	case *pyjson.Object:
		out := []any{}
		for _, k := range v.Keys() {
			out = append(out, k)
		}
		return out, nil
	}
	return nil, trouble("reading a list of ids: it is a %s", pyjson.TypeName(v))
}

// postInterrupt ends the running job, or only the one with the given id. A body that is no JSON counts as empty.
func (s *Server) postInterrupt(c echo.Context) error {
	data, err := s.readBody(c)
	if err != nil {
		return err
	}
	var body any = pyjson.NewObject()
	if v, err := pyjson.Unmarshal(data); err == nil {
		body = v
	}
	id, err := field(body, "prompt_id")
	if err != nil {
		return err
	}
	if !truthy(id) {
		s.log.Info("interrupting whatever runs")
		s.jobs(c).Interrupt()
		return s.empty(c, http.StatusOK)
	}
	text, _ := id.(string)
	done := s.jobs(c).InterruptIfRunning(text)
	s.log.Info("interrupting a prompt", "prompt_id", text, "running", done)
	return s.empty(c, http.StatusOK)
}

// postFree asks the worker to drop models or everything. Where owners are told apart they are everybody's, and only an
// administrator's wish counts.
func (s *Server) postFree(c echo.Context) error {
	body, err := s.readJSON(c)
	if err != nil {
		return err
	}
	unload, err := field(body, "unload_models")
	if err != nil {
		return err
	}
	memory, err := field(body, "free_memory")
	if err != nil {
		return err
	}
	if !s.who(c).Admin {
		return s.empty(c, http.StatusOK)
	}
	s.queue.SetFlags(queue.Flags{UnloadModels: truthy(unload), FreeMemory: truthy(memory)})
	return s.empty(c, http.StatusOK)
}
