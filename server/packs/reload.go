package packs

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// GetPacks describes the processes of node packs and the packs in them.
func (s *Service) GetPacks(c echo.Context) error {
	list, found, core := []any{}, []any{}, []any{}
	if s.Python != nil {
		list, found = Processes(s.Python.Stats()), s.Python.Packs()
		for _, name := range s.Python.Core() {
			core = append(core, name)
		}
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("processes", list, "packs", found, "core", core))
}

// Processes are the figures of the processes of packs for /health; nil without Python.
func (s *Service) Processes() []any {
	if s.Python == nil {
		return nil
	}
	return Processes(s.Python.Stats())
}

// Processes writes figures of processes as /health and the list of packs have them.
func Processes(stats []pyhost.Stats) []any {
	list := []any{}
	for _, st := range stats {
		o := pyjson.NewObject("pack", reply.OrNull(st.Name), "state", st.State, "pid", int64(st.PID), "memory_bytes", st.Memory, "memory_peak_bytes", st.Peak,
			"gpu_bytes", st.GPU, "cpu_seconds", st.CPU.Round(time.Millisecond).Seconds(), "restarts", int64(st.Restarts))
		if st.Reason != "" {
			o.Set("reason", st.Reason)
		}
		if st.Loading != "" {
			o.Set("loading", st.Loading)
		}
		list = append(list, o)
	}
	return list
}

// PostReload loads packs again, once the running job has ended. The body may name one; without a body all are loaded.
func (s *Service) PostReload(c echo.Context) error {
	body, err := s.Reply.ReadOptionalJSON(c)
	if err != nil {
		return err
	}
	name := ""
	if o, ok := body.(*pyjson.Object); ok {
		v, given := o.Get("pack")
		if text, ok := v.(string); ok {
			name = text
		} else if given && v != nil {
			return s.Reply.Complain(c, http.StatusBadRequest, "pack must be the name of a node pack")
		}
	}
	if s.Python == nil {
		return s.Reply.Complain(c, http.StatusNotFound, "no Python runs here (--python none)")
	}
	if s.Fleet {
		return s.Reply.Complain(c, http.StatusConflict, "with a queue in NATS the processes load their node packs only at their start: start servers and workers again, one after the other")
	}
	if err := s.Python.Ask(name); err != nil {
		return s.Reply.Complain(c, http.StatusNotFound, err.Error())
	}
	s.Queue.SetFlags(queue.Flags{ReloadPacks: true})
	return s.Reply.JSON(c, http.StatusAccepted, pyjson.NewObject("reload", reply.OrNull(name)))
}
