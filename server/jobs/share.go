package jobs

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// PostJobShare allows others to read a finished job and its results, or revokes that. Body: shared, by default true.
func (s *Service) PostJobShare(c echo.Context) error {
	in := struct {
		Shared bool `json:"shared"`
	}{true}
	if c.Request().ContentLength != 0 {
		if complaint, err := s.Reply.Command(c, &in); err != nil || complaint != "" {
			if err != nil {
				return err
			}
			return s.Reply.Complain(c, http.StatusBadRequest, complaint)
		}
	}
	found, err := s.Access.Jobs(c).Share(reply.Param(c, "job_id"), in.Shared)
	if err != nil {
		return err
	}
	if !found {
		return s.Reply.Complain(c, http.StatusNotFound, "Job not found")
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("shared", in.Shared))
}
