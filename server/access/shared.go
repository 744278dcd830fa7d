package access

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/server/reply"
)

// MayReadShared reports whether a principal may read shared files: all but guests.
func MayReadShared(p auth.Principal) bool {
	return p.Role != auth.RoleGuest && p.Within != auth.RoleGuest
}

// listsShared reports whether an answer holds what others share: by a job's id always, in lists with ?shared=true, and
// for a principal that cannot run anything, and so has no files.
func (s *Service) listsShared(c echo.Context, p auth.Principal) bool {
	if !MayReadShared(p) {
		return false
	}
	for _, name := range []string{"prompt_id", "job_id", "id"} {
		if c.Param(name) != "" {
			return true
		}
	}
	return reply.Flagged(c, "shared") || s.Gate.Allow(p, auth.Access{Method: http.MethodPost, Route: "/prompt"}) != nil
}
