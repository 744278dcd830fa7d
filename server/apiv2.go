package server

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/executor"
	"comfygo/middleware"
	"comfygo/queue"
	"comfygo/server/prompts"
	"comfygo/server/reply"
	"comfygo/server/v2"
)

// newV2 puts the Comfy API v2 together from the server's queue, folders and catalogue.
func (s *Server) newV2() (*v2.API, error) {
	return v2.New(v2.Config{
		Queue: s.queue, Folders: s.access.FoldersOf, Library: s.library, Owner: s.ownerV2, View: s.access.Jobs, Sees: s.seesV2,
		JobOwner: func(c echo.Context) string { return s.access.Who(c).ID },
		Submit:   s.submitV2, Progress: s.progressV2, Body: s.reply.Limited, Hold: func(c echo.Context, dir string) (assets.Quota, error) { return s.access.Hold(c, dir) }, SendFile: s.assets.SendDownload,
		Change: s.bell.Next, Retention: s.cfg.Policy.HistoryAge, Claims: &s.claims, Logger: s.log,
	})
}

// restoreKeys takes the keys of requests that were accepted before the server has begun.
func (s *Server) restoreKeys(receipts []queue.Receipt) {
	own := receipts[:0:0]
	for _, r := range receipts {
		if strings.HasPrefix(r.Key, v2.KeyPrefix) {
			s.claims.Restore(r)
		} else {
			own = append(own, r)
		}
	}
	s.prompts.RestoreKeys(own)
}

// v2Routes are the routes of the Comfy API v2.
func (s *Server) v2Routes() []route {
	var list []route
	for _, r := range s.v2.Routes() {
		list = append(list, route{method: r.Method, path: r.Path, handle: s.access.InOwnFolders(r.Handle), single: true})
	}
	return list
}

// ownerV2 returns the owner of the assets that a request accesses.
func (s *Server) ownerV2(c echo.Context) (string, error) {
	if s.access.Owned() {
		return s.access.Who(c).ID, nil
	}
	return s.catalogue.Owner(c)
}

// seesV2 reports whether a request may see a job of an owner.
func (s *Server) seesV2(c echo.Context, owner string) bool { return s.access.Scope(c).Has(owner) }

// library is the catalogue that the API v2 keeps its assets in: the one of --enable-assets, or one that is opened when
// the first client needs it.
func (s *Server) library() (*assets.Library, error) {
	if s.cfg.Assets != nil {
		return s.cfg.Assets, nil
	}
	if s.cfg.OpenAssets == nil {
		return nil, &v2.Problem{Status: 501, Code: "not_implemented", Message: "this server keeps no assets"}
	}
	return s.cfg.OpenAssets()
}

// submitV2 queues a workflow of the API v2.
func (s *Server) submitV2(c echo.Context, n v2.Submission) (*queue.Job, executor.Verdict, error) {
	number, err := queue.NextOf(s.queue)
	if err != nil {
		return nil, executor.Verdict{}, err
	}
	job, verdict, err := s.prompts.Enqueue(c, prompts.Candidate{ID: n.ID, Number: number, Prompt: n.Workflow, Extra: n.Extra, Receipt: n.Receipt})
	var u *reply.Unusable
	if errors.As(err, &u) {
		err = &v2.Problem{Status: http.StatusUnprocessableEntity, Code: v2.InvalidWorkflow, Message: u.Error()}
	}
	return job, verdict, err
}

// progressV2 returns the progress of a job.
func (s *Server) progressV2(id string) (v2.Progress, bool) {
	o, total := s.runs.Describe(id, time.Now()), s.runs.Nodes(id)
	if o == nil {
		return v2.Progress{}, false
	}
	p := v2.Progress{Share: reply.NumberOf(o, "percent") / 100, NodesTotal: total, Node: o.String("node")}
	times := o.Object("nodes")
	for node := range times.All() {
		if v, _ := times.Object(node).Get("finished"); v == true {
			p.NodesDone++
		}
	}
	if p.Node != "" {
		p.Class = times.Object(p.Node).String("class_type")
		p.Step, p.Steps = int64(reply.NumberOf(o, "step")), int64(reply.NumberOf(o, "steps"))
	}
	return p, true
}

// v2Refusals gives what stands before the API v2's handlers its form of errors.
func v2Refusals(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if v2.Covers(c.Request().URL.Path) {
			middleware.RefusedAs(c, func(c echo.Context, status int, typ, message, details string) error {
				return v2.Fail(c, refusedV2(status, typ, message, details))
			})
		}
		return next(c)
	}
}

// refusedV2 is a refusal in the form of the API v2; its own word for why is in the details.
func refusedV2(status int, typ, message, details string) *v2.Problem {
	p := &v2.Problem{Status: status, Code: v2.CodeOf(status), Message: message, Details: map[string]any{"reason": typ}}
	if details != "" {
		p.Message += ": " + details
	}
	return p
}

// v2Error answers an error that no handler of the API v2 has answered, in its form.
func (s *Server) v2Error(c echo.Context, err error) {
	const generic = "the request could not be handled"
	if full := diskFull(err); full != nil {
		s.log.Error("handling a request: the disk is full", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		err = full
	}
	p := &v2.Problem{Status: http.StatusInternalServerError, Code: v2.UpstreamError, Message: generic}
	var r *reply.Raised
	var u *reply.Unusable
	var no *reply.Refusal
	var h *echo.HTTPError
	var broke *middleware.PanicError
	switch {
	case errors.As(err, &no):
		p = refusedV2(no.Status, no.Typ, no.Message, no.Details)
	case errors.As(err, &broke):
		s.log.Error("handling a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err, "stack", string(broke.Stack))
	case errors.As(err, &r):
		p.Status, p.Code, p.Message = r.Status, v2.CodeOf(r.Status), r.Error()
		if r.Allow != "" {
			c.Response().Header().Set("Allow", r.Allow)
		}
	case errors.As(err, &u):
		p.Status, p.Code, p.Message = http.StatusUnprocessableEntity, v2.InvalidRequest, withoutPaths(u)
	case errors.As(err, &h):
		p.Status, p.Code, p.Message = h.Code, v2.CodeOf(h.Code), http.StatusText(h.Code)
	default:
		s.log.Error("handling a request", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
	}
	if err := v2.Fail(c, p); err != nil {
		s.log.Debug("answering a request", "error", err)
	}
}
