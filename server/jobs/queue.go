package jobs

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// GetQueue lists the running and the waiting jobs.
func (s *Service) GetQueue(c echo.Context) error {
	running, pending := s.Access.Jobs(c).Snapshot()
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("queue_running", listings(running), "queue_pending", listings(pending)))
}

func listings(jobs []*queue.Job) []any {
	out := make([]any, len(jobs))
	for i, j := range jobs {
		out[i] = pyjson.Raw(j.Text())
	}
	return out
}

// PostQueue clears the queue or deletes waiting jobs.
func (s *Service) PostQueue(c echo.Context) error {
	view := s.Access.Jobs(c)
	return s.edit(c, s.Access.Audited(c, "queue", view.Clear), func(v any) error {
		id, _ := v.(string) // an id of another type matches no job
		done, err := view.Delete(id)
		if done {
			s.Access.Note(c, auth.ActionDelete, auth.ResultOK, id, "from the queue")
		}
		return err
	})
}

// PostHistory forgets finished jobs.
func (s *Service) PostHistory(c echo.Context) error {
	view := s.Access.Jobs(c)
	return s.edit(c, s.Access.Audited(c, "history", view.ClearHistory), func(v any) error {
		switch v := v.(type) {
		case string:
			if view.Find(v) == nil {
				s.Access.Note(c, auth.ActionDelete, auth.ResultFailed, "history "+v, "there is no such entry")
				return nil
			}
			return s.Access.Audited(c, "history "+v, func() error { return view.DeleteHistory(v) })()
		case []any, *pyjson.Object:
			return reply.Trouble("deleting from the history: a %s is no id", pyjson.TypeName(v))
		}
		return nil
	})
}

// edit executes the bodies of POST /queue and POST /history: {"clear": true} and {"delete": [ids]}.
func (s *Service) edit(c echo.Context, clearAll func() error, drop func(any) error) error {
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	for _, key := range []string{"clear", "delete"} {
		given, err := reply.Has(body, key)
		if err != nil {
			return err
		}
		if !given {
			continue
		}
		v, err := reply.Field(body, key)
		if err != nil {
			return err
		}
		if key == "clear" {
			if reply.Truthy(v) {
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
	return s.Reply.Empty(c, http.StatusOK)
}

// elements returns the elements that Python iterates over in a value.
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
	return nil, reply.Trouble("reading a list of ids: it is a %s", pyjson.TypeName(v))
}

// PostInterrupt ends the running job, or only the one with the given id. A body without valid JSON counts as empty.
func (s *Service) PostInterrupt(c echo.Context) error {
	data, err := s.Reply.ReadBody(c)
	if err != nil {
		return err
	}
	var body any = pyjson.NewObject()
	if v, err := pyjson.Unmarshal(data); err == nil {
		body = v
	}
	id, err := reply.Field(body, "prompt_id")
	if err != nil {
		return err
	}
	if !reply.Truthy(id) {
		s.Log.Info("interrupting whatever runs")
		s.Access.Jobs(c).Interrupt()
		return s.Reply.Empty(c, http.StatusOK)
	}
	text, _ := id.(string)
	done := s.Access.Jobs(c).InterruptIfRunning(text)
	s.Log.Info("interrupting a prompt", "prompt_id", text, "running", done)
	return s.Reply.Empty(c, http.StatusOK)
}

// PostFree asks the worker to drop models or everything. With authentication they are shared by all owners, and only an
// administrator's wish counts.
func (s *Service) PostFree(c echo.Context) error {
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	unload, err := reply.Field(body, "unload_models")
	if err != nil {
		return err
	}
	memory, err := reply.Field(body, "free_memory")
	if err != nil {
		return err
	}
	if !s.Access.Who(c).Admin {
		return s.Reply.Empty(c, http.StatusOK)
	}
	s.Queue.SetFlags(queue.Flags{UnloadModels: reply.Truthy(unload), FreeMemory: reply.Truthy(memory)})
	return s.Reply.Empty(c, http.StatusOK)
}
