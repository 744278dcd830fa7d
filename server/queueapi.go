package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

// queueRoutes are comfygo's own; upstream has nothing below /api/v1.
func (s *Server) queueRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/api/v1/queue", s.getQueueState, true},
		{post, "/api/v1/queue/pause", s.postQueuePause, true},
		{post, "/api/v1/queue/resume", s.postQueueResume, true},
		{post, "/api/v1/queue/move", s.postQueueMove, true},
		{post, "/api/v1/queue/priority", s.postQueuePriority, true},
		{post, "/api/v1/queue/cancel", s.postQueueCancel, true},
		{get, "/api/v1/queue/events", s.getQueueEvents, true},
	}
}

func queueState(st queue.Stats) *pyjson.Object {
	o := pyjson.NewObject("running", int64(st.Running), "pending", int64(st.Pending), "history", int64(st.History),
		"paused", st.Paused, "draining", st.Draining, "durable", st.Durable)
	if st.Err != nil {
		o.Set("error", st.Err.Error())
	}
	return o
}

// getQueueState tells the queue's figures.
func (s *Server) getQueueState(c echo.Context) error {
	st := s.queue.Stats()
	if scope := s.scope(c); scope.One {
		running, pending := s.jobs(c).Snapshot()
		st.Running, st.Pending, st.History = len(running), len(pending), s.jobs(c).HistoryLen()
		if !s.who(c).Admin {
			st.Err = nil // it tells of files
		}
	}
	return s.json(c, http.StatusOK, queueState(st))
}

// postQueuePause stops the taking of waiting jobs; the running one goes on.
func (s *Server) postQueuePause(c echo.Context) error {
	if err := s.queue.Pause(); err != nil {
		return err
	}
	return s.getQueueState(c)
}

// postQueueResume undoes a pause.
func (s *Server) postQueueResume(c echo.Context) error {
	if err := s.queue.Resume(); err != nil {
		return err
	}
	return s.getQueueState(c)
}

// command reads the body of one of our own routes; complaint is what is wrong with it, "" if nothing is.
func (s *Server) command(c echo.Context, into any) (complaint string, err error) {
	data, err := s.readBody(c)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Sprintf("the body cannot be read: %v", err), nil
	}
	return "", nil
}

func (s *Server) complain(c echo.Context, status int, text string) error {
	return s.json(c, status, pyjson.NewObject("error", text))
}

// outcome answers a change of one waiting job.
func (s *Server) outcome(c echo.Context, err error) error {
	if errors.Is(err, queue.ErrUnknownJob) {
		return s.complain(c, http.StatusNotFound, err.Error())
	}
	if err != nil {
		return err
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("moved", true))
}

// postQueueMove puts a waiting job at a position, from 0 on, or before another one.
func (s *Server) postQueueMove(c echo.Context) error {
	var body struct {
		ID       string `json:"prompt_id"`
		Position *int   `json:"position"`
		Before   string `json:"before"`
	}
	complaint, err := s.command(c, &body)
	switch {
	case err != nil:
		return err
	case complaint != "":
		return s.complain(c, http.StatusBadRequest, complaint)
	case body.ID == "" || (body.Position == nil) == (body.Before == ""):
		return s.complain(c, http.StatusBadRequest, "give prompt_id, and either position or before")
	case body.Before != "":
		return s.outcome(c, s.jobs(c).MoveBefore(body.ID, body.Before))
	}
	return s.outcome(c, s.jobs(c).MoveTo(body.ID, *body.Position))
}

// postQueuePriority changes a waiting job's priority class.
func (s *Server) postQueuePriority(c echo.Context) error {
	var body struct {
		ID       string `json:"prompt_id"`
		Priority string `json:"priority"`
	}
	complaint, err := s.command(c, &body)
	if err != nil {
		return err
	}
	class, ok := queue.ParseClass(body.Priority)
	if complaint == "" && (body.ID == "" || !ok) {
		complaint = "give prompt_id, and priority: low, normal or high"
	}
	if complaint != "" {
		return s.complain(c, http.StatusBadRequest, complaint)
	}
	return s.outcome(c, s.jobs(c).SetClass(body.ID, class))
}

// postQueueCancel ends exactly one job and says in which state it was.
func (s *Server) postQueueCancel(c echo.Context) error {
	var body struct {
		ID string `json:"prompt_id"`
	}
	complaint, err := s.command(c, &body)
	if err != nil {
		return err
	}
	if complaint == "" && body.ID == "" {
		complaint = "give prompt_id"
	}
	if complaint != "" {
		return s.complain(c, http.StatusBadRequest, complaint)
	}
	state, err := s.cancel(c, body.ID)
	switch {
	case err != nil:
		return err
	case state == queue.StateNone:
		return s.complain(c, http.StatusNotFound, "no running or waiting job has this id")
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("cancelled", string(state)))
}

// How many events one answer has.
const (
	usualEvents = 100
	mostEvents  = 1000
)

// getQueueEvents returns the log from the event after the given number on.
func (s *Server) getQueueEvents(c echo.Context) error {
	after, limit := int64(0), usualEvents
	var err error
	if text, given := query(c, "after"); given {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return s.complain(c, http.StatusBadRequest, "after must be the number of an event, or 0")
		}
	}
	if text, given := query(c, "limit"); given {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostEvents {
			return s.complain(c, http.StatusBadRequest, fmt.Sprintf("limit must be between 1 and %d", mostEvents))
		}
	}
	events, err := s.jobs(c).Events(after, limit)
	if err != nil {
		return err
	}
	list := make([]any, len(events))
	for i, e := range events {
		o := pyjson.NewObject("number", e.Number, "time", e.Time.UTC().Format(time.RFC3339Nano), "type", e.Type)
		if e.JobID != "" {
			o.Set("prompt_id", e.JobID)
		}
		if e.Data != nil {
			o.Set("data", pyjson.Raw(e.Data))
		}
		list[i] = o
		after = e.Number
	}
	return s.json(c, http.StatusOK, pyjson.NewObject("events", list, "last", after))
}

// queueTrouble is the answer to what the queue refuses; ok is false when the error is not of the queue.
func queueTrouble(err error) (status, retryAfter int, typ, message string, ok bool) {
	const soon = 5
	var full *queue.FullError
	switch {
	case errors.As(err, &full):
		return http.StatusTooManyRequests, int(full.RetryAfter.Seconds()), "queue_full", "Too many prompts are waiting", true
	case errors.Is(err, queue.ErrTakenID):
		return http.StatusConflict, 0, "invalid_prompt_id", "The prompt_id is taken", true
	case errors.Is(err, queue.ErrDraining):
		return http.StatusServiceUnavailable, soon, "shutting_down", "The server is shutting down", true
	case errors.Is(err, queue.ErrUnavailable):
		return http.StatusServiceUnavailable, soon, "queue_unavailable", "The queue cannot be written", true
	}
	return 0, 0, "", "", false
}

// answerQueueTrouble reports whether an error was the queue's, and answered.
func (s *Server) answerQueueTrouble(c echo.Context, err error) bool {
	status, retryAfter, typ, message, ok := queueTrouble(err)
	if !ok {
		return false
	}
	s.log.Warn("the queue refuses", "path", c.Request().URL.Path, "error", err)
	if retryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	body := pyjson.NewObject("error", pyjson.NewObject("type", typ, "message", message, "details", err.Error(),
		"extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject())
	if err := s.json(c, status, body); err != nil {
		s.log.Debug("answering a request", "error", err)
	}
	return true
}
