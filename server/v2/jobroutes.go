package v2

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/queue"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// asked is the job that a request names.
func (a *API) asked(c echo.Context) (found, error) {
	id, err := id(c)
	if err != nil {
		return found{}, err
	}
	f, ok, err := a.find(c, id)
	if err == nil && !ok {
		err = problem(http.StatusNotFound, NotFound, "there is no such job")
	}
	return f, err
}

func (a *API) sendJob(c echo.Context, status int, f found) error {
	v, err := a.jobView(c, f)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return send(c, status, v)
}

// getJob answers with a job. Statuses: 200, 404.
func (a *API) getJob(c echo.Context) error {
	f, err := a.asked(c)
	if err != nil {
		return err
	}
	return a.sendJob(c, http.StatusOK, f)
}

// getWorkflow answers with the graph that a job runs. Statuses: 200, 404.
func (a *API) getWorkflow(c echo.Context) error {
	f, err := a.asked(c)
	if err != nil {
		return err
	}
	if f.prompt == nil {
		return problem(http.StatusNotFound, NotFound, "the workflow of a job that was cancelled before it ran is not kept")
	}
	text, err := pyjson.Marshal(f.prompt)
	if err != nil {
		return err
	}
	if !json.Valid(text) { // NaN and Infinity, which Python writes and JSON does not have
		return problem(http.StatusInternalServerError, UpstreamError, "the workflow holds numbers that JSON does not have")
	}
	return send(c, http.StatusOK, struct {
		Workflow json.RawMessage `json:"workflow"`
		Format   string          `json:"format"`
	}{text, "api"})
}

// postCancel requests a job's end and answers with the job. Statuses: 200, 404.
func (a *API) postCancel(c echo.Context) error {
	f, err := a.asked(c)
	if err != nil {
		return err
	}
	if !f.status.terminal() {
		state, err := a.view(c).Cancel(f.id)
		if err != nil {
			return err
		}
		switch state {
		case queue.StateRunning:
			a.cancelling.Store(f.id, true)
			a.logs.status(f.id, Canceling)
		case queue.StatePending:
			a.removed.keep(f)
		}
		if f, err = a.asked(c); err != nil {
			return err
		}
	}
	return a.sendJob(c, http.StatusOK, f)
}
