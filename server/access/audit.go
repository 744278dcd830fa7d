package access

import (
	"context"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/executor"
	"comfygo/middleware"
	"comfygo/queue"
)

// InFolders is the context in which a request's prompt is checked: with the folders of its owner.
func (s *Service) InFolders(c echo.Context) context.Context {
	ctx := c.Request().Context()
	if !s.Owned() {
		return ctx
	}
	return executor.InFolders(ctx, s.OwnFolders(c))
}

// Note writes the action of a request, or its refusal, to the audit log.
func (s *Service) Note(c echo.Context, action auth.Action, result auth.Result, target, detail string) {
	if !s.Guarded() {
		return
	}
	s.Gate.Audit(c.Request().Context(), auth.EventOf(s.Who(c), middleware.Address(c), action, result, target, detail))
}

// Audited is f, which deletes something, with a line in the audit log.
func (s *Service) Audited(c echo.Context, target string, f func() error) func() error {
	return func() error {
		err := f()
		result := auth.ResultOK
		if err != nil {
			result = auth.ResultFailed
		}
		s.Note(c, auth.ActionDelete, result, target, "")
		return err
	}
}

// AssetContext is a context in which the catalogue looks for an owner's files.
func (s *Service) AssetContext(ctx context.Context, owner string) context.Context {
	if !s.Owned() {
		return ctx
	}
	return assets.In(ctx, s.FoldersOf(owner))
}

// Cancel ends a job that a request may end, with a line in the audit log.
func (s *Service) Cancel(c echo.Context, id string) (queue.State, error) {
	state, err := s.Jobs(c).Cancel(id)
	if state != queue.StateNone {
		s.Note(c, auth.ActionDelete, auth.ResultOK, id, "cancelled while "+string(state))
	}
	return state, err
}
