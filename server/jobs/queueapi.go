package jobs

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
	"comfygo/server/reply"
)

// QueueState is the JSON form of the figures of the queue.
func QueueState(st queue.Stats) *pyjson.Object {
	o := pyjson.NewObject("running", int64(st.Running), "pending", int64(st.Pending), "history", int64(st.History),
		"paused", st.Paused, "draining", st.Draining, "durable", st.Durable)
	if st.Err != nil {
		o.Set("error", st.Err.Error())
	}
	return o
}

// GetQueueState returns the queue's figures.
func (s *Service) GetQueueState(c echo.Context) error {
	st := s.Queue.Stats()
	if scope := s.Access.Scope(c); scope.One {
		running, pending := s.Access.Jobs(c).Snapshot()
		st.Running, st.Pending, st.History = len(running), len(pending), s.Access.Jobs(c).HistoryLen()
		if !s.Access.Who(c).Admin {
			st.Err = nil // it tells of files
		}
	}
	return s.Reply.JSON(c, http.StatusOK, QueueState(st))
}

// PostQueuePause stops the taking of waiting jobs; the running one continues.
func (s *Service) PostQueuePause(c echo.Context) error {
	if err := s.Queue.Pause(); err != nil {
		return err
	}
	return s.GetQueueState(c)
}

// PostQueueResume undoes a pause.
func (s *Service) PostQueueResume(c echo.Context) error {
	if err := s.Queue.Resume(); err != nil {
		return err
	}
	return s.GetQueueState(c)
}

// outcome answers a change of one waiting job.
func (s *Service) outcome(c echo.Context, err error) error {
	if errors.Is(err, queue.ErrUnknownJob) {
		return s.Reply.Complain(c, http.StatusNotFound, err.Error())
	}
	if err != nil {
		return err
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("moved", true))
}

// PostQueueMove puts a waiting job at a position, from 0 on, or before another one.
func (s *Service) PostQueueMove(c echo.Context) error {
	var body struct {
		ID       string `json:"prompt_id"`
		Position *int   `json:"position"`
		Before   string `json:"before"`
	}
	complaint, err := s.Reply.Command(c, &body)
	switch {
	case err != nil:
		return err
	case complaint != "":
		return s.Reply.Complain(c, http.StatusBadRequest, complaint)
	case body.ID == "" || (body.Position == nil) == (body.Before == ""):
		return s.Reply.Complain(c, http.StatusBadRequest, "give prompt_id, and either position or before")
	case body.Before != "":
		return s.outcome(c, s.Access.Jobs(c).MoveBefore(body.ID, body.Before))
	}
	return s.outcome(c, s.Access.Jobs(c).MoveTo(body.ID, *body.Position))
}

// PostQueuePriority changes a waiting job's priority class.
func (s *Service) PostQueuePriority(c echo.Context) error {
	var body struct {
		ID       string `json:"prompt_id"`
		Priority string `json:"priority"`
	}
	complaint, err := s.Reply.Command(c, &body)
	if err != nil {
		return err
	}
	class, ok := queue.ParseClass(body.Priority)
	if complaint == "" && (body.ID == "" || !ok) {
		complaint = "give prompt_id, and priority: low, normal or high"
	}
	if complaint != "" {
		return s.Reply.Complain(c, http.StatusBadRequest, complaint)
	}
	return s.outcome(c, s.Access.Jobs(c).SetClass(body.ID, class))
}

// PostQueueCancel ends exactly one job and returns its state before.
func (s *Service) PostQueueCancel(c echo.Context) error {
	var body struct {
		ID string `json:"prompt_id"`
	}
	complaint, err := s.Reply.Command(c, &body)
	if err != nil {
		return err
	}
	if complaint == "" && body.ID == "" {
		complaint = "give prompt_id"
	}
	if complaint != "" {
		return s.Reply.Complain(c, http.StatusBadRequest, complaint)
	}
	state, err := s.Access.Cancel(c, body.ID)
	switch {
	case err != nil:
		return err
	case state == queue.StateNone:
		return s.Reply.Complain(c, http.StatusNotFound, "no running or waiting job has this id")
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("cancelled", string(state)))
}

// How many events one answer has.
const (
	usualEvents = 100
	mostEvents  = 1000
)

// GetQueueEvents returns the log from the event after the given number on.
func (s *Service) GetQueueEvents(c echo.Context) error {
	after, limit := int64(0), usualEvents
	var err error
	if text, given := reply.Query(c, "after"); given {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return s.Reply.Complain(c, http.StatusBadRequest, "after must be the number of an event, or 0")
		}
	}
	if text, given := reply.Query(c, "limit"); given {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostEvents {
			return s.Reply.Complain(c, http.StatusBadRequest, fmt.Sprintf("limit must be between 1 and %d", mostEvents))
		}
	}
	events, err := s.Access.Jobs(c).Events(after, limit)
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
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("events", list, "last", after))
}

// queueTrouble returns the answer to an error of the queue; ok is false for other errors.
func queueTrouble(err error) (status, retryAfter int, typ, message string, ok bool) {
	const soon = 5
	var full *queue.FullError
	var large *queue.TooLargeError
	var option *queue.OptionError
	var uncertain *queue.UncertainError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, 0, "prompt_too_large", "The prompt is too large", true
	case errors.As(err, &option):
		return http.StatusBadRequest, 0, "invalid_options", "extra_data.comfygo cannot be used", true
	case errors.As(err, &full):
		return http.StatusTooManyRequests, int(full.RetryAfter.Seconds()), "queue_full", "Too many prompts are waiting", true
	case errors.Is(err, queue.ErrTakenID):
		return http.StatusConflict, 0, "invalid_prompt_id", "The prompt_id is taken", true
	case errors.Is(err, queue.ErrDraining):
		return http.StatusServiceUnavailable, soon, "shutting_down", "The server is shutting down", true
	case errors.As(err, &uncertain):
		return http.StatusGatewayTimeout, soon, "queue_uncertain", "It is not known whether the prompt was queued", true
	case errors.Is(err, queue.ErrFull):
		return http.StatusInsufficientStorage, soon, "queue_store_full", "The queue's store is full", true
	case errors.Is(err, queue.ErrUnavailable):
		return http.StatusServiceUnavailable, soon, "queue_unavailable", "The queue cannot be written", true
	}
	return 0, 0, "", "", false
}

// AnswerQueueTrouble reports whether an error was the queue's, and answered.
func (s *Service) AnswerQueueTrouble(c echo.Context, err error) bool {
	status, retryAfter, typ, message, ok := queueTrouble(err)
	if !ok {
		return false
	}
	s.Log.Warn("the queue refuses", "path", c.Request().URL.Path, "error", err)
	if retryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(retryAfter))
	}
	body := pyjson.NewObject("error", pyjson.NewObject("type", typ, "message", message, "details", err.Error(),
		"extra_info", pyjson.NewObject()), "node_errors", pyjson.NewObject())
	if err := s.Reply.JSON(c, status, body); err != nil {
		s.Log.Debug("answering a request", "error", err)
	}
	return true
}
