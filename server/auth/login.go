package auth

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/internal/pyjson"
	"comfygo/middleware"
	"comfygo/server/reply"
)

//go:embed login/login.html
var loginText string

//go:embed login/login.css
var loginStyle string

var loginPage = template.Must(template.New("login").Parse(loginText))

// loginPolicy lets the page do nothing but look as it does and send its form.
var loginPolicy = func() string {
	sum := sha256.Sum256([]byte(loginStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'"
}()

// loginView holds the data of the log-in page.
type loginView struct {
	Style       template.CSS
	Next        string
	Name        string
	Problem     string
	Known, OIDC bool
}

// GetLogin serves the login page, or offers to sign out a principal that is signed in.
func (s *Login) GetLogin(c echo.Context) error {
	if !s.Access.Guarded() {
		return s.Unrouted(c, nil)
	}
	next, _ := reply.Query(c, "next")
	return s.showLogin(c, http.StatusOK, next, "")
}

// AskPage serves the login page in place of the frontend to a browser without a session.
func (s *Login) AskPage(c echo.Context) (bool, error) {
	r := c.Request()
	if r.Method != http.MethodGet || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return false, nil
	}
	switch path := r.URL.Path; {
	case c.Path() == "/", c.Path() == "/app", c.Path() == "" && path == "/index.html":
		return true, s.showLogin(c, http.StatusOK, path, "")
	}
	return false, nil
}

func (s *Login) showLogin(c echo.Context, status int, next, problem string) error {
	p := s.Access.Who(c)
	v := loginView{
		Style: template.CSS(loginStyle), Next: localPath(next), Name: p.Name, //nolint:gosec // our own file
		Known: !p.Anonymous(), Problem: problem, OIDC: s.OIDC != nil,
	}
	var b bytes.Buffer
	if err := loginPage.Execute(&b, v); err != nil {
		return fmt.Errorf("writing the log-in page: %w", err)
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", loginPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set(echo.HeaderCacheControl, "no-store")
	h.Add(echo.HeaderVary, "Cookie")
	h.Add(echo.HeaderVary, "Accept")
	return s.Reply.Bytes(c, status, "text/html; charset=utf-8", b.Bytes())
}

// localPath is a path of this server, "/" for everything that could lead elsewhere.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

// PostLogin takes a key, as a form or as JSON, and answers with the cookie of a session: 303 to a form, 200 to JSON, 401
// for an invalid key, 429 after too many attempts.
func (s *Login) PostLogin(c echo.Context) error {
	if !s.Access.Guarded() {
		return s.Unrouted(c, nil)
	}
	if !middleware.FromOwnPage(c.Request()) {
		return middleware.Refuse(c, http.StatusForbidden, "cross_site", "The request does not come from a page of this server",
			"signing in works from our own page only")
	}
	key, next, form, err := s.readLogin(c)
	if err != nil {
		return err
	}
	session, err := s.Gate.Login(c.Request().Context(), auth.Credential{Source: auth.SourceHeader, Secret: key, Addr: middleware.Address(c)})
	var wait *auth.WaitError
	switch {
	case errors.As(err, &wait) && form:
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(max(1, int(wait.After.Seconds()+1))))
		return s.showLogin(c, http.StatusTooManyRequests, next, wait.Error())
	case errors.As(err, &wait):
		return middleware.Wait(c, wait.After, "Try again later", wait.Error())
	case errors.Is(err, auth.ErrUnauthenticated) && form:
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
		return s.showLogin(c, http.StatusUnauthorized, next, "This key is not valid.")
	case errors.Is(err, auth.ErrUnauthenticated):
		return middleware.Unauthorized(c, err)
	case err != nil:
		return fmt.Errorf("signing in: %w", err)
	}
	s.setSession(c, session)
	if form {
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		return c.Redirect(http.StatusSeeOther, localPath(next))
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("name", session.Principal.Name, "role", session.Principal.Role,
		"expires", session.Expires.UTC().Format(time.RFC3339)))
}

// readLogin reads the fields of the form or the JSON body.
func (s *Login) readLogin(c echo.Context) (key, next string, form bool, err error) {
	const longest = 16 << 10
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, longest)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); kind == "application/json" {
		body, err := s.Reply.ReadJSON(c)
		if err != nil {
			return "", "", false, err
		}
		o, _ := body.(*pyjson.Object)
		return strings.TrimSpace(o.String("key")), "", false, nil
	}
	if err := r.ParseForm(); err != nil {
		return "", "", true, s.Reply.BodyError(err)
	}
	return strings.TrimSpace(r.PostForm.Get("key")), r.PostForm.Get("next"), true, nil
}

// setSession sets the cookie of a browser's session.
func (s *Login) setSession(c echo.Context, session auth.Session) {
	c.SetCookie(&http.Cookie{
		Name: middleware.SessionCookie, Value: session.Secret, Path: "/", Expires: session.Expires, HttpOnly: true,
		Secure: s.secure(c), SameSite: http.SameSiteStrictMode,
	})
}

// secure reports whether the browser speaks TLS, to us or to the proxy before us.
func (s *Login) secure(c echo.Context) bool {
	r := c.Request()
	if r.TLS != nil {
		return true
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range s.Proxies {
		if p.Contains(at.Addr().Unmap()) {
			return strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
		}
	}
	return false
}

// PostLogout ends the browser's session and deletes its cookie: 303 to the page, 204 for clients that do not accept HTML.
func (s *Login) PostLogout(c echo.Context) error {
	if !s.Access.Guarded() {
		return s.Unrouted(c, nil)
	}
	r := c.Request()
	if !middleware.FromOwnPage(r) {
		return middleware.Refuse(c, http.StatusForbidden, "cross_site", "The request does not come from a page of this server",
			"signing out works from our own page only")
	}
	for _, cookie := range r.CookiesNamed(middleware.SessionCookie) {
		if err := s.Gate.Logout(r.Context(), cookie.Value); err != nil {
			return fmt.Errorf("signing out: %w", err)
		}
	}
	c.SetCookie(&http.Cookie{
		Name: middleware.SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.secure(c), SameSite: http.SameSiteStrictMode,
	})
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		return c.Redirect(http.StatusSeeOther, "/login")
	}
	return s.Reply.Empty(c, http.StatusNoContent)
}
