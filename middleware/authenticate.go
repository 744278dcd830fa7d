package middleware

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
)

// Authentication configures Authenticate. Gate is required.
type Authentication struct {
	Gate auth.Gate
	// Public reports whether a request is for a file of the frontend, which needs no authentication.
	Public func(c echo.Context) bool
	// Prompts reports whether a request puts a job into the queue, for the limits on that.
	Prompts func(c echo.Context) bool
	// Socket reports whether a request is for a route that opens sockets.
	Socket func(c echo.Context) bool
	// Page answers a browser that requests a page without having logged in; it reports whether it has answered.
	Page func(c echo.Context) (bool, error)
	// RunsPack reports whether a request that no route of the server takes runs code of a node pack. The permission to send any prompt counts
	// for it, since that code may do whatever a workflow may.
	RunsPack func(c echo.Context) bool
	// Workflow names the registered workflow that a request runs, or is "".
	Workflow func(c echo.Context) string
	// ProxyHeader is the header in which a trusted proxy names the user, or "".
	ProxyHeader string
	// Proxies are the networks of proxies whose X-Forwarded-For is trusted.
	Proxies []netip.Prefix
}

type authenticator struct {
	Authentication
	proxyHeader string
	proxies     []netip.Prefix
}

// Authenticate authenticates each request, and lets pass what the gate allows; the request's context then carries
// the auth.Principal. A key comes as "Authorization: Bearer KEY", "X-API-Key: KEY" or ?api_key=KEY, at sockets also as
// ?token= and as a subprotocol, a login as a cookie. What counts is the route that the router has found, never the path
// as it was written. 401 means unauthenticated, 403 not permitted, 429 rate-limited; OPTIONS pass, since
// browsers send them without credentials and their answers hold nothing.
func Authenticate(a Authentication) echo.MiddlewareFunc {
	g := &authenticator{Authentication: a, proxyHeader: a.ProxyHeader, proxies: a.Proxies}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if c.Request().Method == http.MethodOptions {
				return next(c)
			}
			p, err := g.admit(c)
			if err != nil {
				return g.refuse(c, p, err)
			}
			r := c.Request()
			c.SetRequest(r.WithContext(auth.WithPrincipal(r.Context(), p)))
			if p.Anonymous() && g.Page != nil {
				if done, err := g.Page(c); done {
					return err
				}
			}
			return next(c)
		}
	}
}

// errCrossSite refuses a request that another site's page makes with the cookie of ours.
var errCrossSite = errors.New("the log-in of a browser counts only for requests that a page of this server makes; others have to show a key")

// errDoubtful refuses a request with several credentials.
var errDoubtful = errors.New("several different credentials were shown")

// tooMuch refuses because a bucket is empty.
type tooMuch struct {
	after time.Duration
	what  string
}

// Error names the limit that was exceeded.
func (e *tooMuch) Error() string { return "too many " + e.what }

// admit returns the principal of the request, or the reason for refusing it.
func (a *authenticator) admit(c echo.Context) (auth.Principal, error) {
	r := c.Request()
	access := a.access(c)
	socket := a.Socket != nil && a.Socket(c)
	s := a.credential(r, socket)
	if r.URL.RawQuery != "" && strings.ContainsAny(r.URL.RawQuery, "kK%") {
		a.clean(c, socket)
	}
	p, err := a.who(r, s, socket)
	if err != nil {
		if !errors.Is(err, auth.ErrUnauthenticated) && !errors.Is(err, errDoubtful) && !errors.Is(err, errCrossSite) {
			var wait *auth.WaitError
			if !errors.As(err, &wait) {
				return p, err
			}
		}
		if a.allow(auth.Principal{}, access, c) != nil {
			return p, err
		}
		p = auth.Principal{} // what is open to all is open with an invalid key, too
	}
	if wait := a.Gate.Take(auth.BucketRequest, p, s.Addr); wait > 0 {
		return p, &tooMuch{wait, "requests"}
	}
	if err := a.allow(p, access, c); err != nil {
		return p, err
	}
	if a.Prompts != nil && a.Prompts(c) {
		if wait := a.Gate.Take(auth.BucketPrompt, p, s.Addr); wait > 0 {
			return p, &tooMuch{wait, "prompts"}
		}
	}
	c.Set(keyAddr, s.Addr)
	return p, nil
}

// who authenticates the credential; the principal is anonymous without one.
func (a *authenticator) who(r *http.Request, s shown, socket bool) (auth.Principal, error) {
	switch {
	case s.doubtful:
		return auth.Principal{}, errDoubtful
	case s.Source == auth.SourceNone:
		return auth.Principal{}, nil
	case s.Source == auth.SourceCookie && !fromOwnPage(r, socket):
		return auth.Principal{}, errCrossSite
	case s.Source == auth.SourceProxy && !throughProxy(r, socket):
		return auth.Principal{}, errCrossSite
	}
	return a.Gate.Authenticate(r.Context(), s.Credential)
}

// access returns the access that a request needs, by its route.
func (a *authenticator) access(c echo.Context) auth.Access {
	if path := c.Path(); (path == "" || path == auth.RouteStatic) && a.RunsPack != nil && a.RunsPack(c) {
		return auth.Access{Method: http.MethodPost, Route: "/prompt", Workflow: auth.AnyWorkflow}
	}
	want := auth.Access{Method: c.Request().Method, Route: c.Path()}
	if a.Workflow != nil {
		want.Workflow = a.Workflow(c)
	}
	if a.Public != nil && a.Public(c) {
		want.Route = auth.RouteStatic
	}
	return want
}

// allow asks the gate. No one gets at anything that was not found, and with a plain list of keys what is open is open
// under its own name only, not below /api.
func (a *authenticator) allow(p auth.Principal, want auth.Access, c echo.Context) error {
	if p.Anonymous() && (c.Path() == "" && want.Route != auth.RouteStatic || a.Gate.Mode() == auth.ModeKeys && strings.HasPrefix(want.Route, "/api")) {
		return auth.ErrNoCredential
	}
	return a.Gate.Allow(p, want)
}

// clean takes the credential out of the address.
func (a *authenticator) clean(c echo.Context, socket bool) {
	r := c.Request()
	if kept := withoutSecrets(r.URL.RawQuery, socket); kept != r.URL.RawQuery {
		r.URL.RawQuery = kept
		r.RequestURI = r.URL.RequestURI()
	}
}

const keyAddr = "comfygo.address"

// Address returns the address of a request's client, as Authenticate has determined it; invalid if authentication is disabled.
func Address(c echo.Context) netip.Addr {
	a, _ := c.Get(keyAddr).(netip.Addr)
	return a
}

// refuse answers a request that must not go on.
func (a *authenticator) refuse(c echo.Context, p auth.Principal, err error) error {
	var denied *auth.DeniedError
	var wait *auth.WaitError
	var much *tooMuch
	switch {
	case errors.As(err, &denied):
		a.Gate.Audit(c.Request().Context(), auth.EventOf(p, a.address(c.Request(), false), auth.ActionRequest, auth.ResultDenied, denied.Permission, ""))
		return Refuse(c, http.StatusForbidden, "forbidden", "You may not do this", denied.Error(), "permission", denied.Permission)
	case errors.Is(err, errCrossSite):
		return Refuse(c, http.StatusForbidden, "cross_site", "The request does not come from a page of this server", err.Error())
	case errors.As(err, &wait):
		return Wait(c, wait.After, "Try again later", wait.Error())
	case errors.As(err, &much):
		return Wait(c, much.after, "Slow down", much.Error())
	case errors.Is(err, auth.ErrUnauthenticated), errors.Is(err, errDoubtful):
		if page := a.Page; page != nil && errors.Is(err, auth.ErrNoCredential) {
			if done, err := page(c); done {
				return err
			}
		}
		return Unauthorized(c, err)
	}
	return err
}

// Unauthorized answers 401.
func Unauthorized(c echo.Context, err error) error {
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
	details := "send a key as Authorization: Bearer KEY, X-API-Key: KEY or ?api_key=KEY"
	if err != nil && !errors.Is(err, auth.ErrNoCredential) {
		details = err.Error()
	}
	return Refuse(c, http.StatusUnauthorized, "unauthorized", "An API key is required", details)
}

// Wait answers 429 with the time of the next attempt.
func Wait(c echo.Context, after time.Duration, message, details string) error {
	seconds := int(math.Ceil(after.Seconds()))
	c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(max(1, seconds)))
	return Refuse(c, http.StatusTooManyRequests, "rate_limited", message, details)
}

const keyRefused = "comfygo.refused"

// RefusedAs gives the answers of Refuse to a request another shape.
func RefusedAs(c echo.Context, answer func(c echo.Context, status int, typ, message, details string) error) {
	c.Set(keyRefused, answer)
}

// Refuse answers with an error in the form of POST /prompt's errors; more are further pairs of names and values for the error object. The
// rest of the request is not read.
func Refuse(c echo.Context, status int, typ, message, details string, more ...any) error {
	MarkBare(c)
	MarkOpen(c)
	r, h := c.Request(), c.Response().Header()
	if r.ContentLength != 0 {
		h.Set(echo.HeaderConnection, "close")
	}
	h.Set(echo.HeaderCacheControl, "no-store")
	if answer, ok := c.Get(keyRefused).(func(echo.Context, int, string, string, string) error); ok {
		return answer(c, status, typ, message, details)
	}
	b := []byte(`{"error": {`)
	pairs := append([]any{"type", typ, "message", message, "details", details, "extra_info", struct{}{}}, more...)
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(appendJSON(b, pairs[i]), ": "...)
		b = appendJSON(b, pairs[i+1])
	}
	return c.Blob(status, "application/json; charset=utf-8", append(b, `}, "node_errors": {}}`...))
}

// appendJSON writes a value; null for one that JSON has no word for, as an infinite number.
func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}
