// Package reply is shared by the handlers below server: reading requests, answering them, and the errors that become
// answers. It knows no resource.
package reply

import "github.com/labstack/echo/v4"

// Service answers requests and reads their bodies.
type Service struct {
	// Compress packs JSON and text answers for clients that accept it.
	Compress bool
	// BodyLimit returns the most bytes that the body of a request may have.
	BodyLimit func(c echo.Context) int64
}
