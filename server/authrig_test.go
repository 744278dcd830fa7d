package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/assets"
	"comfygo/auth"
	"comfygo/middleware"
	"comfygo/server"
	"comfygo/server/reply"
)

// authRig is a server with a key store in which each of the four roles has a user, and User has two.
type authRig struct {
	*rig
	store *auth.Store
	keys  map[string]auth.Key // by user's name; "revoked" and "expired" are bob's
	users map[string]auth.User
	clock atomic.Int64 // how far the store's clock is ahead, in nanoseconds
}

// roleOf are the users.
var roleOf = map[string]string{
	"root": auth.RoleAdministrator, "ann": auth.RoleUser, "bob": auth.RoleUser, "vera": auth.RoleViewer, "gus": auth.RoleGuest,
}

// byAdmin is the author of changes to the store in tests.
var byAdmin = auth.CommandLine("test")

// startAuth runs a server with a store. change and config may be nil.
func startAuth(t *testing.T, change func(*auth.StoreOptions), config func(*server.Config)) *authRig {
	t.Helper()
	a := &authRig{keys: map[string]auth.Key{}, users: map[string]auth.User{}}
	never := auth.LockOut{Free: 1 << 40, Failures: 1 << 40}
	o := auth.StoreOptions{
		Path: filepath.Join(t.TempDir(), "auth.db"), Hash: auth.HashParameters{Passes: 1, Memory: 8, Threads: 1}, Poll: 20 * time.Millisecond,
		LockOut: never, Address: auth.Limits{Requests: 1e6, RequestsBurst: 1e6, Prompts: 1e6, PromptsBurst: 1e6},
		Now: func() time.Time { return time.Now().Add(time.Duration(a.clock.Load())) },
	}
	if change != nil {
		change(&o)
	}
	var err error
	if a.store, err = auth.OpenStore(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.store.Close(); err != nil {
			t.Error(err)
		}
	})
	a.fill(t)
	a.rig = start(t, func(c *server.Config) {
		c.Auth = a.store
		c.FrontEndRoot = filepath.Join(c.Folders.Base(), "web")
		if config != nil {
			config(c)
		}
	})
	return a
}

// startAuthWithAssets starts one with a catalogue of files.
func startAuthWithAssets(t *testing.T) *authRig {
	t.Helper()
	var lib *assets.Library
	a := startAuth(t, nil, func(c *server.Config) {
		var err error
		if lib, err = assets.Open(assets.Config{Folders: c.Folders, ContentType: reply.GuessType}); err != nil {
			t.Fatal(err)
		}
		c.Assets = lib
	})
	t.Cleanup(func() {
		a.stop()
		if err := lib.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// fill makes users and keys, and takes the limits from their roles.
func (a *authRig) fill(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	var err error
	for name, role := range roleOf {
		if role != auth.RoleAdministrator {
			if _, err = a.store.SetLimits(ctx, byAdmin, role, auth.Limits{}); err != nil {
				t.Fatal(err)
			}
		}
		if a.users[name], err = a.store.CreateUser(ctx, byAdmin, name, role); err != nil {
			t.Fatal(err)
		}
		a.keys[name] = a.newKey(t, name, 0)
	}
	a.keys["revoked"] = a.newKey(t, "bob", 0)
	if _, err := a.store.RevokeKey(ctx, byAdmin, a.keys["revoked"].ID); err != nil {
		t.Fatal(err)
	}
	a.clock.Store(-int64(time.Hour))
	a.keys["expired"] = a.newKey(t, "bob", time.Minute)
	a.clock.Store(0)
}

func (a *authRig) newKey(t *testing.T, user string, life time.Duration) auth.Key {
	t.Helper()
	k, err := a.store.CreateKey(context.Background(), byAdmin, auth.KeySpec{Name: user + "'s", User: user, Life: life})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// as sends a request with a user's key.
func (a *authRig) as(user, method, path, body string, headers ...string) httpReply {
	a.t.Helper()
	return a.do(method, path, body, append([]string{"X-API-Key", a.keys[user].Secret}, headers...)...)
}

// wants is as, for a status and a part of the answer.
func (a *authRig) wants(user, request, body string, status int, part string) httpReply {
	a.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	got := a.as(user, method, path, body)
	if got.status != status || !strings.Contains(got.body, part) {
		a.t.Errorf("%s as %s: %d %.300s, want %d with %s", request, user, got.status, got.body, status, part)
	}
	return got
}

// put queues a prompt of a user and returns its id.
func (a *authRig) put(user, body string) string {
	a.t.Helper()
	got := a.as(user, "POST", "/prompt", body)
	var v struct {
		ID string `json:"prompt_id"`
	}
	if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != 200 {
		a.t.Fatalf("a prompt of %s: %d %s", user, got.status, got.body)
	}
	return v.ID
}

// token changes a user's key for a token.
func (a *authRig) token(user string) string {
	a.t.Helper()
	got := a.as(user, "POST", "/api/auth/token", "")
	var v struct{ Token string }
	if err := json.Unmarshal([]byte(got.body), &v); err != nil || got.status != 200 {
		a.t.Fatalf("a token for %s: %d %s", user, got.status, got.body)
	}
	return v.Token
}

// cookie signs a user in and returns the header of the cookie.
func (a *authRig) cookie(user string) string {
	a.t.Helper()
	got := a.do("POST", "/login", `{"key": "`+a.keys[user].Secret+`"}`, "Content-Type", "application/json")
	c, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || got.status != 200 {
		a.t.Fatalf("signing %s in: %d %s, %v", user, got.status, got.body, err)
	}
	return c.Name + "=" + c.Value
}

// ways are how a credential can be shown; each returns the request's query and headers.
func (a *authRig) ways() map[string]func(user string) (query string, headers []string) {
	key := func(user string) string {
		if user == "bad" {
			return "cgo_000000000000_" + strings.Repeat("A", 43)
		}
		return a.keys[user].Secret
	}
	return map[string]func(string) (string, []string){
		"bearer": func(u string) (string, []string) { return "", []string{"Authorization", "Bearer " + key(u)} },
		"header": func(u string) (string, []string) { return "", []string{"X-API-Key", key(u)} },
		"query":  func(u string) (string, []string) { return "?api_key=" + key(u), nil },
		"token":  func(u string) (string, []string) { return "", []string{"Authorization", "Bearer " + a.token(u)} },
		"cookie": func(u string) (string, []string) { return "", []string{"Cookie", a.cookie(u), "Origin", a.url} },
	}
}

// open opens a socket of a user with the given query and headers.
func (a *authRig) open(t *testing.T, query string, o *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, strings.Replace(a.url, "http", "ws", 1)+"/ws"+query, o)
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, resp, err
}

// socket opens a socket of a user and reads its greeting.
func (a *authRig) socket(t *testing.T, user, id string) *websocket.Conn {
	t.Helper()
	conn, _, err := a.open(t, "?clientId="+id, &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {a.keys[user].Secret}}})
	if err != nil {
		t.Fatal(err)
	}
	if m := a.next(conn); m != "status" {
		t.Fatalf("the first message is %s", m)
	}
	return conn
}

// closed reads until the socket ends and returns the code and reason.
func closed(t *testing.T, conn *websocket.Conn) (websocket.StatusCode, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			var c websocket.CloseError
			if errors.As(err, &c) {
				return c.Code, c.Reason
			}
			t.Fatalf("the socket ended with %v", err)
		}
	}
}

// protocol is the subprotocol that carries a credential.
func protocol(secret string) string { return middleware.TokenProtocol + secret }

// graphOf is a prompt that shows a number.
func graphOf(value int) string { return fmt.Sprintf(quick, value) }
