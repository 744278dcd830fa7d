package jobs

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// fleet is a queue whose jobs run in other processes.
type fleet interface {
	Workers() []queue.WorkerView
	DrainWorker(id string, on bool) (bool, error)
}

// GetWorkers lists the workers of a queue that several processes share; for other queues the list
// is empty.
func (s *Service) GetWorkers(c echo.Context) error {
	list := []any{}
	f, shared := s.Queue.(fleet)
	if shared {
		for _, w := range f.Workers() {
			list = append(list, workerView(w, time.Now()))
		}
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("shared", shared, "workers", list))
}

func workerView(w queue.WorkerView, now time.Time) *pyjson.Object {
	o := pyjson.NewObject(
		"id", w.ID, "name", w.Ad.Name, "version", w.Ad.Version, "device", w.Ad.Device, "vram_total", w.Ad.VRAMTotal, "vram_free", w.Ad.VRAMFree,
		"labels", texts(w.Ad.Labels), "models", texts(w.Resident), "families", texts(w.Ad.Families), "classes", int64(len(w.Ad.Classes)),
		"protocol", int64(w.Protocol), "keyed", w.Keyed, "draining", w.Draining, "finished", w.Done, "prompt_id", nil, "running_seconds", nil, "silent_seconds", nil,
	)
	if w.JobID != "" {
		o.Set("prompt_id", w.JobID).Set("running_seconds", now.Sub(w.Since).Seconds())
	}
	if !w.Heard.IsZero() {
		o.Set("silent_seconds", now.Sub(w.Heard).Seconds())
	}
	return o
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, t := range list {
		out[i] = t
	}
	return out
}

// PostWorkerDrain stops a worker from taking more jobs; the running one continues.
func (s *Service) PostWorkerDrain(c echo.Context) error { return s.drainWorker(c, true) }

// PostWorkerResume undoes a drain.
func (s *Service) PostWorkerResume(c echo.Context) error { return s.drainWorker(c, false) }

func (s *Service) drainWorker(c echo.Context, on bool) error {
	id := reply.Param(c, "id")
	if f, ok := s.Queue.(fleet); ok {
		done, err := f.DrainWorker(id, on)
		if err != nil {
			return err
		}
		if done {
			return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("id", id, "draining", on))
		}
	}
	return s.Reply.Complain(c, http.StatusNotFound, "no worker has this id")
}
