//go:build unix

package tests_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPackRoutes requests routes of a pack, and runs a node that sends a message, as callers of every role.
func TestPackRoutes(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	keys := map[string]key{}
	var made struct{ Name string }
	keyCommand(t, base, &made, "roles", "create", "Registered", "--like", "Viewer")
	keyCommand(t, base, &made, "roles", "allow", "Registered", http.MethodPost, "/prompt", "--workflow", "@registered")
	for name, role := range map[string]string{"ada": "Administrator", "ben": "User", "carl": "User", "vera": "Viewer", "gus": "Guest", "rita": "Registered"} {
		var user struct{ ID string }
		keyCommand(t, base, &user, "users", "create", name, "--role", role)
		var k key
		keyCommand(t, base, &k, "keys", "create", "--user", name, "--name", name)
		keys[name] = k
	}
	server := startPacksIn(t, base, []string{"routes"}, "--auth")
	server.Key = keys["ada"].Secret
	if r := server.run(t, map[string]any{"1": packNode("RoutesSends", map[string]any{"text": "first"})}); r.Failure() != nil {
		t.Fatalf("%+v", r.Failure())
	}
	for _, prefix := range []string{"", "/api"} {
		for name, want := range map[string]int{"": 401, "ada": 200, "ben": 200, "vera": 403, "gus": 403, "rita": 403} {
			status, body, _ := ask(t, http.MethodGet, server.Base+prefix+"/packroutes/headers", keys[name].Secret, "")
			if status != want {
				t.Errorf("a route of a pack as %q: %d %s, want %d", name, status, body, want)
			}
			if status == 200 && (strings.Contains(body, "api-key") || !strings.Contains(body, "x-forwarded-for")) {
				t.Errorf("the pack sees the headers %s", body)
			}
		}
	}
	for request, want := range map[string]int{"POST /packroutes/echo": 200, "POST /packroutes/headers": 403, "GET /packroutes/none": 404, "GET /extensions/routes/script.js": 200} {
		method, path, _ := strings.Cut(request, " ")
		if status, body, _ := ask(t, method, server.Base+path, keys["ben"].Secret, ""); status != want {
			t.Errorf("%s: %d %.200s, want %d", request, status, body, want)
		}
	}
	for name, want := range map[string]int{"": 401, "ben": 403, "vera": 403, "gus": 403} {
		if status, body, _ := ask(t, http.MethodPost, server.Base+"/api/v1/packs/reload", keys[name].Secret, "{}"); status != want {
			t.Errorf("loading packs again as %q: %d %s, want %d", name, status, body, want)
		}
	}
	const graph = `{"prompt": {"1": {"class_type": "RoutesSends", "inputs": {"text": "for ben"}}}}`
	for name, want := range map[string]int{"vera": 403, "gus": 403, "rita": 403} {
		if status, body, _ := ask(t, http.MethodPost, server.Base+"/prompt", keys[name].Secret, graph); status != want {
			t.Errorf("a class of a pack as %s: %d %s, want %d", name, status, body, want)
		}
	}
	server.sentTo(t, graph, keys["ben"], keys["carl"])
}

// TestPackEndlessRoute reads from a route that never ends: other requests are answered meanwhile, and the server can be stopped.
func TestPackEndlessRoute(t *testing.T) {
	t.Parallel()
	server := startPacks(t, []string{"routes"})
	if err := server.Get(t.Context(), "/object_info", nil); err != nil { // waits for the pack
		t.Fatal(err)
	}
	for range 4 {
		resp, err := http.Get(server.Base + "/packroutes/endless") //nolint:noctx // it lasts as long as the test
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, 1<<16)); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("the endless route: %d, %v", resp.StatusCode, err)
		}
	}
	if r := server.run(t, map[string]any{"1": packNode("RoutesSends", map[string]any{"text": "meanwhile"})}); r.Failure() != nil {
		t.Errorf("a job meanwhile: %+v", r.Failure())
	}
	if err := server.process.Stop(time.Minute); err != nil {
		t.Errorf("stopping the server meanwhile: %v", err)
	}
}

// sentTo runs a graph with a node that sends a message: its owner's socket gets it, that of another user
// does not.
func (i *instance) sentTo(t *testing.T, graph string, owner, other key) {
	t.Helper()
	sockets := map[string]chan string{}
	for name, k := range map[string]key{"owner": owner, "other": other} {
		client := *i.Client
		client.Key = k.Secret
		socket, err := client.Dial(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		types := make(chan string, 1000)
		sockets[name] = types
		go func() {
			defer close(types)
			for {
				m, err := socket.Next(t.Context())
				if err != nil {
					return
				}
				types <- m.Type
			}
		}()
	}
	if status, body, _ := ask(t, http.MethodPost, i.Base+"/prompt?wait=60", owner.Secret, graph); status != 200 {
		t.Fatalf("the job: %d %s", status, body)
	}
	for late := time.After(time.Minute); ; {
		select {
		case typ := <-sockets["owner"]:
			if typ != "packroutes.sent" {
				continue
			}
		case <-late:
			t.Fatal("the owner's client did not get the pack's message")
		}
		break
	}
	for {
		select {
		case typ := <-sockets["other"]:
			if typ == "packroutes.sent" {
				t.Fatal("a pack's message of one user's job reached another user")
			}
			continue
		default:
		}
		break
	}
}
