package auth_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/auth"
	"comfygo/sqlite"
)

func TestDefaultRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range auth.DefaultRules() {
		at := r.Method + " " + r.Route
		if seen[at] {
			t.Errorf("%s has two rules", at)
		}
		seen[at] = true
		if strings.HasPrefix(r.Route, "/api/") || !strings.HasPrefix(r.Route, "/") || r.Method == "HEAD" {
			t.Errorf("%s is not in the form of the table", at)
		}
		if r.Open && len(r.Roles) > 0 {
			t.Errorf("%s is open, and to roles", at)
		}
		if r.Open && r.Method != "GET" && r.Route != "/login" && r.Route != "/logout" {
			t.Errorf("%s changes something and is open to everyone", at)
		}
		harmless := []string{"/settings", "/settings/:id", "/auth/token", "/workflow/convert"} // own data, or nothing is kept
		if slices.Contains(r.Roles, auth.RoleViewer) && r.Method != "GET" && !slices.Contains(harmless, r.Route) {
			t.Errorf("%s lets viewers change something", at)
		}
		if slices.Contains(r.Roles, auth.RoleGuest) && !slices.Contains(r.Roles, auth.RoleUser) {
			t.Errorf("%s lets guests and not users", at)
		}
		if strings.HasPrefix(r.Route, "/auth/") && len(r.Roles) > 0 && r.Route != "/auth/me" && r.Route != "/auth/token" {
			t.Errorf("%s lets %v administer", at, r.Roles)
		}
	}
	for at, want := range map[string]bool{
		"GET /prompt": true, "HEAD /api/prompt": true, "POST /api/api/jobs/cancel": true, "DELETE /prompt": false, "GET /prompt/": false,
		"GET /Prompt": false, "GET /nothing": false, "GET /userdata/*": false, "TRACE /": false,
	} {
		method, route, _ := strings.Cut(at, " ")
		if auth.HasRule(method, route) != want {
			t.Errorf("%s has a rule: %v", at, !want)
		}
	}
}

// TestRolesAndRules tries every rule of the table with every role, against the table itself.
func TestRolesAndRules(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	for _, role := range []string{"", auth.RoleGuest, auth.RoleViewer, auth.RoleUser, auth.RoleAdministrator} {
		var p auth.Principal
		if role != "" {
			p = authenticate(t, s, makeKey(t, s, "u "+role, role, 0).Secret)
		}
		for _, r := range auth.DefaultRules() {
			want := r.Open || role == auth.RoleAdministrator || slices.Contains(r.Roles, role)
			for _, route := range []string{r.Route, "/api" + r.Route} {
				err := s.Allow(p, auth.Access{Method: r.Method, Route: route})
				var denied *auth.DeniedError
				switch {
				case want && err != nil, !want && err == nil:
					t.Errorf("%q at %s %s: %v", role, r.Method, route, err)
				case !want && role == "" && !errors.Is(err, auth.ErrNoCredential):
					t.Errorf("no one at %s %s: %v", r.Method, route, err)
				case !want && role != "" && (!errors.As(err, &denied) || denied.Permission != r.Method+" "+r.Route || !strings.Contains(err.Error(), denied.Permission)):
					t.Errorf("%q at %s %s: the refusal %v does not name the permission", role, r.Method, route, err)
				}
			}
		}
		if err := s.Allow(p, auth.Access{Method: "GET", Route: "/a/route/without/rule"}); (err == nil) != (role == auth.RoleAdministrator) {
			t.Errorf("%q at a route without a rule: %v", role, err)
		}
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	if r, err := s.CreateRole(t.Context(), root, "bounded", ""); err != nil || r.Limits != roleLimits(t, s, auth.RoleUser) || r.Limits.UploadBytes == 0 {
		t.Errorf("a role like none has the limits %+v, %v; want those of users", r.Limits, err)
	}
	if _, err := s.CreateRole(t.Context(), root, "reader", ""); err != nil {
		t.Fatal(err)
	}
	p := authenticate(t, s, makeKey(t, s, "rita", "reader", 0).Secret)
	try := func(method, route string, want bool) {
		t.Helper()
		if err := s.Allow(p, auth.Access{Method: method, Route: route}); (err == nil) != want {
			t.Errorf("%s %s: %v", method, route, err)
		}
	}
	change := func(f func() (auth.Role, error)) {
		t.Helper()
		if _, err := f(); err != nil {
			t.Fatal(err)
		}
	}
	try("GET", "/history", false)
	change(func() (auth.Role, error) {
		return s.Grant(t.Context(), root, "reader", auth.Grant{Method: "GET", Route: "*"})
	})
	try("GET", "/history", true)
	try("GET", "/auth/audit", true)
	try("POST", "/history", false)
	try("GET", "/a/route/without/rule", false) // a pattern hides no missing rule
	change(func() (auth.Role, error) {
		return s.Ungrant(t.Context(), root, "reader", auth.Grant{Method: "GET", Route: "*"})
	})
	try("GET", "/history", false)
	change(func() (auth.Role, error) {
		return s.Grant(t.Context(), root, "reader", auth.Grant{Method: "*", Route: "/userdata/*"})
	})
	try("DELETE", "/userdata/:file", true)
	try("GET", "/userdata", false)
	for name, g := range map[string]auth.Grant{
		"method":      {Method: "EAT", Route: "/history"},
		"route":       {Method: "GET", Route: "/nothing"},
		"pattern":     {Method: "GET", Route: "/nothing/*"},
		"workflow":    {Method: "POST", Route: "/prompt", Workflow: "@all"},
		"SQL":         {Method: "GET", Route: "/history' OR '1'='1"},
		"no endpoint": {},
	} {
		if _, err := s.Grant(t.Context(), root, "reader", g); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func() error{
		"changing the administrators": func() error {
			_, err := s.Ungrant(t.Context(), root, auth.RoleAdministrator, auth.Grant{Method: "GET", Route: "/history"})
			return err
		},
		"limiting the administrators": func() error {
			_, err := s.SetLimits(t.Context(), root, auth.RoleAdministrator, auth.Limits{Queued: 1})
			return err
		},
		"deleting a role in use":  func() error { return s.DeleteRole(t.Context(), root, "reader") },
		"deleting a built-in one": func() error { return s.DeleteRole(t.Context(), root, auth.RoleGuest) },
		"a second administrator": func() error {
			_, err := s.CreateRole(t.Context(), root, "boss", auth.RoleAdministrator)
			return err
		},
	} {
		if err := f(); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.DeleteUser(t.Context(), root, "rita"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRole(t.Context(), root, "reader"); err != nil {
		t.Errorf("deleting an unused role: %v", err)
	}
}

// TestKeysBelowTheirOwner holds that a key can do no more than its owner, whatever its role is called.
func TestKeysBelowTheirOwner(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	makeKey(t, s, "first", auth.RoleAdministrator, 0) // another one has to stay
	makeKey(t, s, "ada", auth.RoleAdministrator, 0)
	make := func(user, role string) auth.Principal {
		t.Helper()
		k, err := s.CreateKey(t.Context(), root, auth.KeySpec{Name: "k", User: user, Role: role})
		if err != nil {
			t.Fatal(err)
		}
		return authenticate(t, s, k.Secret)
	}
	audit, history := auth.Access{Method: "GET", Route: "/auth/audit"}, auth.Access{Method: "GET", Route: "/history"}
	low := make("ada", auth.RoleViewer)
	if low.Admin || s.Allow(low, audit) == nil || s.Allow(low, history) != nil {
		t.Errorf("an administrator's viewer key: %+v", low)
	}
	makeKey(t, s, "gus", auth.RoleGuest, 0)
	high := make("gus", auth.RoleAdministrator)
	if high.Admin || s.Allow(high, audit) == nil {
		t.Errorf("a guest's administrator key: %+v", high)
	}
	full := make("ada", auth.RoleAdministrator)
	if !full.Admin {
		t.Errorf("an administrator's key: %+v", full)
	}
	var ended []auth.Revocation
	defer s.Watch(func(r auth.Revocation) { ended = append(ended, r) })()
	if _, err := s.SetUserRole(t.Context(), root, "ada", auth.RoleUser); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Refresh(full); err != nil || now.Admin {
		t.Errorf("the key of one who is no administrator any more: %+v, %v", now, err)
	}
	if len(ended) != 1 || !ended[0].Covers(full) || ended[0].CancelJobs {
		t.Errorf("who has to come again: %+v", ended)
	}
	if _, err := s.SetUserRole(t.Context(), root, "first", auth.RoleUser); !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("the last administrator went: %v", err)
	}
	if err := s.DeleteUser(t.Context(), root, "FIRST"); !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("the last administrator was deleted: %v", err)
	}
}

func roleLimits(t *testing.T, s *auth.Store, name string) auth.Limits {
	t.Helper()
	r, err := s.Role(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r.Limits
}

// TestUploadTotalOfOlderFiles opens a file from before the limit on all uploads: its guests get the default, and what an administrator chose
// stays.
func TestUploadTotalOfOlderFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.db")
	const fallback = 200 << 20
	for i, tt := range []struct {
		change string
		want   int64
	}{
		{"", fallback},
		{`UPDATE roles SET limits = json_remove(limits, '$.upload_total_bytes')`, fallback},
		{`UPDATE roles SET limits = json_set(limits, '$.upload_total_bytes', 0)`, 0},
	} {
		if tt.change != "" {
			db := sqlite.Open(path, sqlite.Options{Conns: 1})
			if _, err := db.ExecContext(t.Context(), tt.change); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := auth.OpenStore(t.Context(), auth.StoreOptions{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if got := roleLimits(t, s, auth.RoleGuest).UploadTotal; got != tt.want {
			t.Errorf("opened %d times: guests may keep %d bytes, want %d", i+1, got, tt.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPermissions compares the list of a principal's permissions with Allow, for built-in roles, a custom role with a pattern,
// and a key below its user's role.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	if _, err := s.CreateRole(t.Context(), root, "printer", ""); err != nil {
		t.Fatal(err)
	}
	for _, grant := range []auth.Grant{{"GET", "*", "*"}, {"POST", "/prompt", "@registered"}} {
		if _, err := s.Grant(t.Context(), root, "printer", grant); err != nil {
			t.Fatal(err)
		}
	}
	principals := map[string]auth.Principal{"anonymous": {}}
	for _, role := range []string{auth.RoleGuest, auth.RoleViewer, auth.RoleUser, "printer"} {
		principals[role] = authenticate(t, s, makeKey(t, s, "a "+role, role, 0).Secret)
	}
	below := principals[auth.RoleUser]
	below.Within = auth.RoleGuest
	principals["a guest's key of a user"] = below
	for name, p := range principals {
		list := map[string]string{}
		for _, line := range s.Permissions(p) {
			words := strings.SplitN(line, " ", 3)
			list[words[0]+" "+words[1]] = strings.Join(words[2:], " ")
		}
		for _, r := range auth.DefaultRules() {
			at := r.Method + " " + r.Route
			_, listed := list[at]
			if allowed := s.Allow(p, auth.Access{Method: r.Method, Route: r.Route}) == nil; listed != allowed {
				t.Errorf("%s, %s: listed %v, allowed %v", name, at, listed, allowed)
			}
		}
		if want, ok := map[string]string{auth.RoleGuest: "@public", auth.RoleUser: "", "printer": "@registered", "a guest's key of a user": "@public"}[name]; ok && list["POST /prompt"] != want {
			t.Errorf("%s may run %q, want %q", name, list["POST /prompt"], want)
		}
	}
	if got := s.Permissions(authenticate(t, s, makeKey(t, s, "ada", auth.RoleAdministrator, 0).Secret)); got != nil {
		t.Errorf("an administrator's list is %q, want none, which stands for everything", got)
	}
}
