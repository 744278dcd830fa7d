package access

import (
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
)

// InOwnFolders lets a handler of assets see the folders of the request's owner.
func (s *Service) InOwnFolders(next echo.HandlerFunc) echo.HandlerFunc {
	if !s.Owned() {
		return next
	}
	return func(c echo.Context) error {
		r := c.Request()
		ctx := assets.In(r.Context(), s.OwnFolders(c))
		if s.Who(c).Admin {
			ctx = assets.Overseeing(ctx)
		}
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}

// BodyLimit returns the maximum size of a request in bytes: it is lower for an upload of a user
// whose role limits it.
func (s *Service) BodyLimit(c echo.Context) int64 {
	if !s.Owned() || strings.HasPrefix(c.Request().Header.Get(echo.HeaderContentType), "application/json") {
		return s.MaxBody
	}
	if most := s.Gate.Limits(s.Who(c)).UploadBytes; most > 0 {
		return min(most, s.MaxBody)
	}
	return s.MaxBody
}
