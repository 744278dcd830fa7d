package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/auth"
	"comfygo/middleware"
	"comfygo/server/reply"
)

// stateCookie holds the state of a login at the identity provider; the redirect comes from another site, so the
// cookie is Lax, and valid for a short time and for one path.
const (
	stateCookie = "comfygo_oidc"
	stateLife   = 10 * time.Minute
	oidcPath    = "/api/auth/oidc/"
)

func (s *Login) provider() (OIDC, error) {
	if s.OIDC == nil {
		return nil, reply.Refuse(http.StatusNotFound, "not_found", "There is no such thing", "no identity provider is set up")
	}
	return s.OIDC, nil
}

// GetOIDCLogin sends a browser to the identity provider.
func (s *Login) GetOIDCLogin(c echo.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	url, state, err := provider.Begin(c.Request().Context())
	if err != nil {
		return fmt.Errorf("asking the identity provider: %w", err)
	}
	c.SetCookie(&http.Cookie{
		Name: stateCookie, Value: state, Path: oidcPath, MaxAge: int(stateLife.Seconds()), HttpOnly: true, Secure: s.secure(c),
		SameSite: http.SameSiteLaxMode,
	})
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Redirect(http.StatusFound, url)
}

// GetOIDCCallback takes back a browser from the identity provider and signs it in.
func (s *Login) GetOIDCCallback(c echo.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	state, _ := reply.Query(c, "state")
	code, _ := reply.Query(c, "code")
	cookie, err := c.Request().Cookie(stateCookie)
	c.SetCookie(&http.Cookie{Name: stateCookie, Path: oidcPath, MaxAge: -1, HttpOnly: true, Secure: s.secure(c), SameSite: http.SameSiteLaxMode})
	if err != nil || state == "" || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(state)) != 1 {
		return s.showLogin(c, http.StatusBadRequest, "/", "The sign-in did not begin in this browser, or took too long. Try again.")
	}
	if text, given := reply.Query(c, "error"); given || code == "" {
		s.Log.Warn("the identity provider refuses", "error", text)
		return s.showLogin(c, http.StatusForbidden, "/", "The identity provider has refused.")
	}
	ctx := c.Request().Context()
	who, err := provider.Finish(ctx, state, code)
	if err != nil {
		s.Log.Warn("signing in by the identity provider", "error", err)
		return s.showLogin(c, http.StatusForbidden, "/", "The identity provider could not be asked, or has refused.")
	}
	session, err := s.Gate.LoginExternal(ctx, who, middleware.Address(c))
	if errors.Is(err, auth.ErrUnauthenticated) {
		return s.showLogin(c, http.StatusForbidden, "/", "You have no role on this server. Ask its administrator.")
	}
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	s.setSession(c, session)
	return s.backHome(c)
}

// backHome leads to the page by way of a page of our own: browsers do not send a strict cookie along with the answer to a
// request that another site has begun.
func (s *Login) backHome(c echo.Context) error {
	const page = `<!doctype html><meta charset="utf-8"><title>comfygo</title><meta http-equiv="refresh" content="0;url=/"><a href="/">Go on</a>`
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(echo.HeaderCacheControl, "no-store")
	return s.Reply.Bytes(c, http.StatusOK, "text/html; charset=utf-8", []byte(strings.TrimSpace(page)))
}

// ComesBack reports whether a browser comes back from the identity provider, which is another site.
func (s *Login) ComesBack(c echo.Context) bool {
	return s.OIDC != nil && c.Request().Method == http.MethodGet && c.Path() == oidcPath+"callback"
}

// OIDC is the part of package auth/oidc that the server needs.
type OIDC interface {
	// Begin returns where to redirect the browser, and the state that it has to return.
	Begin(ctx context.Context) (url, state string, err error)
	// Finish returns the user that the provider names.
	Finish(ctx context.Context, state, code string) (auth.Identity, error)
}
