// Package oidc authenticates users by OpenID Connect: the authorization code flow with PKCE, a state and a nonce, for people
// who log in to the page.
//
// It does no HTTP of our own server: the server sends the browser to the address that Begin returns and calls Finish when the
// browser comes back. Package auth decides what a user may do; here a claim only becomes the name of a role.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"comfygo/auth"
)

// Config configures the use of a provider. Issuer, ClientID and RedirectURL are required.
type Config struct {
	Issuer, ClientID string
	ClientSecret     string // empty for a public client: PKCE protects the code
	RedirectURL      string // this server's, ending in /api/auth/oidc/callback
	Scopes           []string
	// RoleClaim is the claim with the user's roles or groups, a text or a list of them. Dots lead into objects.
	RoleClaim string
	// Roles maps values of the claim to roles. The first that matches counts; without a match the user has no role.
	Roles []RoleFor
	// Context adds the HTTP client to a context; nil uses the default one.
	Context func(context.Context) context.Context
	// Timeout bounds each exchange with the provider; 0 means 10 s.
	Timeout time.Duration
	// Now returns the time; nil means time.Now.
	Now func() time.Time
}

// RoleFor maps a value of the claim to a role.
type RoleFor struct{ Claim, Role string }

const (
	// stateLife bounds the time of a login.
	stateLife  = 10 * time.Minute
	mostStates = 10000
)

// Errors of Finish. They say nothing that an attacker could use, and match auth.ErrBadCredential.
var (
	errState = fmt.Errorf("%w: the log-in was not begun here or took too long", auth.ErrBadCredential)
	errToken = fmt.Errorf("%w: the identity provider's answer cannot be trusted", auth.ErrBadCredential)
)

// Provider is an identity provider. Its addresses are requested at the first login, so that a server starts
// without it.
type Provider struct {
	cfg Config

	found    sync.Mutex
	provider *oidc.Provider

	mu     sync.Mutex
	states map[string]attempt
}

// attempt is a log-in that has begun.
type attempt struct {
	verifier, nonce string
	until           time.Time
}

// New makes a provider. It sends no request yet.
func New(cfg Config) (*Provider, error) {
	if cfg.Issuer == "" || cfg.ClientID == "" {
		return nil, errors.New("setting up OpenID Connect: an issuer and a client ID are needed")
	}
	for name, address := range map[string]string{"issuer": cfg.Issuer, "redirect URL": cfg.RedirectURL} {
		if err := secure(address); err != nil {
			return nil, fmt.Errorf("setting up OpenID Connect: the %s %q: %w", name, address, err)
		}
	}
	if cfg.Context == nil {
		cfg.Context = func(ctx context.Context) context.Context { return ctx }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	return &Provider{cfg: cfg, states: map[string]attempt{}}, nil
}

// secure refuses addresses over which codes and tokens would travel in the clear.
func secure(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("it is no address like https://host/path")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("it has to begin with https://")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsLoopback() || u.Hostname() == "localhost" {
		return nil
	}
	return errors.New("http:// is for this machine only; it has to begin with https://")
}

// discover asks the provider for its addresses, once it answers.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.found.Lock()
	defer p.found.Unlock()
	if p.provider != nil {
		return p.provider, nil
	}
	found, err := oidc.NewProvider(ctx, p.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("asking the identity provider %s for its addresses: %w", p.cfg.Issuer, err)
	}
	p.provider = found
	return found, nil
}

func (p *Provider) config(found *oidc.Provider) oauth2.Config {
	return oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, RedirectURL: p.cfg.RedirectURL,
		Endpoint: found.Endpoint(), Scopes: p.cfg.Scopes,
	}
}

// Begin returns where to send the browser, and the state that has to come back with it: the server keeps it in a cookie,
// so that a user cannot be made to finish the login of another.
func (p *Provider) Begin(ctx context.Context) (address, state string, err error) {
	ctx, cancel := context.WithTimeout(p.cfg.Context(ctx), p.cfg.Timeout)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return "", "", err
	}
	state = random()
	a := attempt{verifier: oauth2.GenerateVerifier(), nonce: random(), until: p.cfg.Now().Add(stateLife)}
	p.keep(state, a)
	c := p.config(found)
	return c.AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)), state, nil
}

// keep remembers an attempt. When there are too many, those that took too long go, or else the oldest.
func (p *Provider) keep(state string, a attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.states) >= mostStates {
		oldest, until := "", time.Time{}
		now := p.cfg.Now()
		for s, other := range p.states {
			if !now.Before(other.until) {
				delete(p.states, s)
			} else if oldest == "" || other.until.Before(until) {
				oldest, until = s, other.until
			}
		}
		if len(p.states) >= mostStates {
			delete(p.states, oldest)
		}
	}
	p.states[state] = a
}

// take returns an attempt, once.
func (p *Provider) take(state string) (attempt, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.states[state]
	delete(p.states, state)
	return a, ok && p.cfg.Now().Before(a.until)
}

// Finish exchanges the code that the browser brought for the provider's statement of the user's identity. The state must be the
// one of the cookie. Refusals match auth.ErrBadCredential; other errors are failures of the provider.
func (p *Provider) Finish(ctx context.Context, state, code string) (auth.Identity, error) {
	a, ok := p.take(state)
	if !ok || code == "" {
		return auth.Identity{}, errState
	}
	ctx, cancel := context.WithTimeout(p.cfg.Context(ctx), p.cfg.Timeout)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return auth.Identity{}, err
	}
	c := p.config(found)
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response.StatusCode < 500 {
		return auth.Identity{}, fmt.Errorf("%w (%s)", errToken, refused.ErrorCode)
	}
	if err != nil {
		return auth.Identity{}, fmt.Errorf("changing the code for a token: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	word, err := found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Now}).Verify(ctx, raw)
	if err != nil {
		return auth.Identity{}, fmt.Errorf("%w: %v", errToken, err) //nolint:errorlint // the library's error is for people
	}
	if subtle.ConstantTimeCompare([]byte(word.Nonce), []byte(a.nonce)) != 1 {
		return auth.Identity{}, errToken
	}
	var claims map[string]any
	if err := word.Claims(&claims); err != nil {
		return auth.Identity{}, fmt.Errorf("reading the identity provider's claims: %w", err)
	}
	if err := p.check(word, claims, token.AccessToken); err != nil {
		return auth.Identity{}, err
	}
	return auth.Identity{Subject: word.Issuer + "#" + word.Subject, Name: name(claims, word.Subject), Role: p.role(claims)}, nil
}

const (
	// issuedLeeway is how far the provider's clock may be ahead, oldest how long ago an ID token may have been issued, which
	// comes straight from the provider.
	issuedLeeway = 5 * time.Minute
	oldest       = 24 * time.Hour
	// longestSubject is the bound of OpenID Connect Core 1.0, 2.
	longestSubject = 255
)

// check verifies what OpenID Connect Core 1.0, 3.1.3.7 and 3.1.3.8 require beyond the signature, issuer, audience, expiry and
// nonce: sub and iat must be present, azp must name this client if it is present, which it must be beside several audiences,
// and at_hash must match the access token.
func (p *Provider) check(word *oidc.IDToken, claims map[string]any, accessToken string) error {
	now := p.cfg.Now()
	azp, given := claims["azp"]
	switch {
	case word.Subject == "" || len(word.Subject) > longestSubject:
		return fmt.Errorf("%w: the ID token has no usable sub", errToken)
	case given && azp != any(p.cfg.ClientID):
		return fmt.Errorf("%w: the ID token was issued to another client (azp)", errToken)
	case !given && len(word.Audience) > 1:
		return fmt.Errorf("%w: the ID token has several audiences and no azp", errToken)
	case claims["iat"] == nil || word.IssuedAt.After(now.Add(issuedLeeway)) || word.IssuedAt.Before(now.Add(-oldest)):
		return fmt.Errorf("%w: the ID token has no usable iat", errToken)
	}
	if word.AccessTokenHash != "" {
		if err := word.VerifyAccessToken(accessToken); err != nil {
			return fmt.Errorf("%w: the ID token belongs to another access token (at_hash)", errToken)
		}
	}
	return nil
}

// name returns the name of the user.
func name(claims map[string]any, subject string) string {
	for _, claim := range []string{"preferred_username", "email", "name"} {
		if text, _ := claims[claim].(string); text != "" {
			return text
		}
	}
	return subject
}

// role is the first of the mapped ones that the user has.
func (p *Provider) role(claims map[string]any) string {
	have := values(find(claims, p.cfg.RoleClaim))
	for _, r := range p.cfg.Roles {
		if have[r.Claim] {
			return r.Role
		}
	}
	return ""
}

// find looks a claim up by its name, which may contain dots itself, or else by a path through objects.
func find(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	head, rest, ok := strings.Cut(path, ".")
	if inner, _ := claims[head].(map[string]any); ok && inner != nil {
		return find(inner, rest)
	}
	return nil
}

func values(claim any) map[string]bool {
	set := map[string]bool{}
	switch v := claim.(type) {
	case string:
		set[v] = true
	case []any:
		for _, e := range v {
			if text, ok := e.(string); ok {
				set[text] = true
			}
		}
	}
	return set
}

func random() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
