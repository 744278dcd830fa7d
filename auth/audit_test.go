package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"comfygo/auth"
)

func TestAuditInjection(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	evil := "x\n2026-01-01 action=login result=ok name=ada\r\x1b[2J\u2028\u202e\x00\xff'); DROP TABLE audit;--"
	s.Audit(t.Context(), auth.Event{Action: auth.ActionRequest, Result: auth.ResultDenied, Target: evil, Detail: strings.Repeat("é", 5000), Name: evil})
	events, err := s.Events(t.Context(), auth.EventFilter{})
	if err != nil || len(events) != 1 {
		t.Fatalf("%v, %v", events, err)
	}
	want := `x\n2026-01-01 action=login result=ok name=ada\r\x1b[2J\u2028\u202e\x00\xff'); DROP TABLE audit;--`
	if e := events[0]; e.Target != want || e.Name != want || len(e.Detail) > 600 {
		t.Errorf("target %q, detail of %d bytes", e.Target, len(e.Detail))
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || strings.ContainsAny(log.String(), "\r\x1b\x00") || strings.Contains(log.String(), "\u202e") {
		t.Errorf("%d lines in the log: %q", lines, &log)
	}
}

func TestAuditNamesNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := openStore(t, "", func(o *auth.StoreOptions) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	secrets := []string{k.Secret[17:], "a-guess-that-is-wrong"}
	p := authenticate(t, s, k.Secret)
	session, err := s.Login(t.Context(), bearer(k.Secret))
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.IssueToken(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, session.Secret, token.Text, strings.Split(token.Text, ".")[2])
	for n, text := range []string{"a-guess-that-is-wrong", wrong(k, 77), token.Text + "x", session.Secret, k.Secret + "x"} {
		c := bearer(text)
		c.Addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(n + 10)})
		if _, err := s.Authenticate(t.Context(), c); err == nil {
			t.Errorf("%q is good", text)
		} else if strings.Contains(err.Error(), text) {
			t.Errorf("the error has the secret: %v", err)
		}
	}
	rotated, err := s.RotateKey(t.Context(), root, k.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, rotated.Secret[17:], fmt.Sprintf("%064x", 77))
	events, err := s.Events(t.Context(), auth.EventFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) || strings.Contains(fmt.Sprintf("%+v", events), secret) {
			t.Errorf("a secret is in the log: %q", secret)
		}
	}
	if len(events) < 8 {
		t.Errorf("%d events: %+v", len(events), events)
	}
}

func TestAuditFilter(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	begun := now.Now()
	for n := range 250 {
		e := auth.Event{Action: auth.ActionRun, Result: auth.ResultOK, Owner: "u-1", Name: "ursula", Target: fmt.Sprintf("job %d", n), Addr: "192.0.2.1"}
		if n%10 == 0 {
			e = auth.Event{Action: auth.ActionRequest, Result: auth.ResultDenied, Owner: "u-2", Name: "O'Brien", KeyID: "abc", Detail: "GET /Auth/Audit"}
		}
		s.Audit(t.Context(), e)
		now.add(time.Second)
	}
	for name, c := range map[string]struct {
		f    auth.EventFilter
		want int
	}{
		"all":       {auth.EventFilter{Limit: 1000}, 250},
		"page":      {auth.EventFilter{}, 100},
		"too many":  {auth.EventFilter{Limit: 1 << 40}, 250},
		"action":    {auth.EventFilter{Action: auth.ActionRequest}, 25},
		"result":    {auth.EventFilter{Result: auth.ResultDenied}, 25},
		"owner":     {auth.EventFilter{Owner: "u-2"}, 25},
		"name":      {auth.EventFilter{Owner: "O'Brien"}, 25},
		"key":       {auth.EventFilter{KeyID: "abc"}, 25},
		"address":   {auth.EventFilter{Addr: "192.0.2.1", Limit: 1000}, 225},
		"text":      {auth.EventFilter{Text: "auth/audit"}, 25},
		"target":    {auth.EventFilter{Text: "JOB 249"}, 1},
		"pattern":   {auth.EventFilter{Text: "%"}, 0},
		"since":     {auth.EventFilter{Since: begun.Add(240 * time.Second)}, 10},
		"before":    {auth.EventFilter{Before: begun.Add(10 * time.Second)}, 10},
		"two":       {auth.EventFilter{Action: auth.ActionRequest, Before: begun.Add(10 * time.Second)}, 1},
		"injection": {auth.EventFilter{Owner: "' OR '1'='1", Action: "x' OR 1=1--"}, 0},
	} {
		events, err := s.Events(t.Context(), c.f)
		if err != nil || len(events) != c.want {
			t.Errorf("%s: %d events, %v; want %d", name, len(events), err, c.want)
		}
	}
	var numbers []int64
	for below := int64(0); ; {
		page, err := s.Events(t.Context(), auth.EventFilter{Below: below, Limit: 33})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			numbers = append(numbers, e.Number)
		}
		below = page[len(page)-1].Number
	}
	for i, n := range numbers {
		if n != int64(250-i) {
			t.Fatalf("page by page, event %d has number %d", i, n)
		}
	}
	if len(numbers) != 250 {
		t.Errorf("page by page there are %d events", len(numbers))
	}
}

func TestAuditRetention(t *testing.T) {
	t.Parallel()
	now := newClock()
	path := t.TempDir() + "/auth.db"
	s := openStore(t, path, func(o *auth.StoreOptions) { o.Now = now.Now })
	for n := range 50 {
		s.Audit(t.Context(), auth.Event{Action: auth.ActionRun, Result: auth.ResultOK, Target: fmt.Sprint(n)})
		now.add(time.Hour)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A store tidies when it is opened, and every hour.
	count := func(s *auth.Store) int {
		events, err := s.Events(t.Context(), auth.EventFilter{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return len(events)
	}
	old := openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.AuditKeep = now.Now, 30*time.Hour })
	within(t, 10*time.Second, "events of more than 30 hours to go", func() bool { return count(old) == 30 })
	few := openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.AuditRows = now.Now, 10 })
	within(t, 10*time.Second, "all but ten events to go", func() bool { return count(few) == 10 })
}

// TestRefusalsKeepTheLog: refused requests of a user without permissions do not evict other events from the audit log.
func TestRefusalsKeepTheLog(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/auth.db"
	now := newClock()
	s := openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.AuditRows = now.Now, 40 })
	for n := range 8 {
		s.Audit(t.Context(), auth.Event{Action: auth.ActionKey, Result: auth.ResultOK, Target: fmt.Sprint("key ", n)})
	}
	s.Audit(t.Context(), auth.Event{Action: auth.ActionLockOut, Result: auth.ResultDenied, Addr: "192.0.2.9"})
	for range 5 { // minutes
		for n := range 500 {
			s.Audit(t.Context(), auth.Event{Action: auth.ActionRequest, Result: auth.ResultDenied, Owner: "u-vera", Target: fmt.Sprint("GET /", n)})
		}
		for n := range 500 {
			s.Audit(t.Context(), auth.Event{Action: auth.ActionDelete, Result: auth.ResultFailed, Owner: "u-vera", Target: fmt.Sprint("history ", n)})
		}
		now.add(time.Minute)
	}
	events, err := s.Events(t.Context(), auth.EventFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) > 9+5*21 {
		t.Errorf("%d events were written for 5000 refusals", len(events))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, func(o *auth.StoreOptions) { o.Now, o.AuditRows = now.Now, 40 })
	if err := auth.Sweep(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if events, err = s.Events(t.Context(), auth.EventFilter{Limit: 1000}); err != nil {
		t.Fatal(err)
	}
	kept, refused, summed := 0, 0, 0
	for _, e := range events {
		switch {
		case e.Action == auth.ActionKey, e.Action == auth.ActionLockOut:
			kept++
		case strings.Contains(e.Detail, "and 980 more refusals"):
			summed++
			refused++
		default:
			refused++
		}
	}
	if kept != 9 || refused > 10 || summed == 0 {
		t.Errorf("%d of 9 events of what was done are left, %d refusals, of which %d tell of many", kept, refused, summed)
	}
}

func TestNamesAreData(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	for _, name := range []string{"Robert'); DROP TABLE users;--", `"; DELETE FROM keys; --`, "' OR '1'='1", "日本語", "a%b_c", "u-000000000000"} {
		u, err := s.CreateUser(t.Context(), root, name, auth.RoleUser)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		k, err := s.CreateKey(t.Context(), root, auth.KeySpec{Name: name, User: name})
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if p := authenticate(t, s, k.Secret); p.ID != u.ID || p.Name != name {
			t.Errorf("%q: %+v", name, p)
		}
		if _, err := s.CreateUser(t.Context(), root, strings.ToUpper(name), auth.RoleUser); !errors.Is(err, auth.ErrExists) {
			t.Errorf("%q twice: %v", name, err)
		}
		if _, err := s.CreateRole(t.Context(), root, name, auth.RoleUser); err != nil {
			t.Errorf("role %q: %v", name, err)
		}
		if _, err := s.Key(t.Context(), name); !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("key %q: %v", name, err)
		}
		if got := mustUser(t, s, name); got.ID != u.ID {
			t.Errorf("%q is %+v", name, got)
		}
	}
	for _, name := range []string{"", " ", " a", "a\nb", "a\x00", "a\u202eb", "\xff", strings.Repeat("x", 129)} {
		if _, err := s.CreateUser(t.Context(), root, name, auth.RoleUser); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	users, err := s.Users(t.Context())
	if err != nil || len(users) != 6 {
		t.Errorf("%d users, %v", len(users), err)
	}
}

func mustUser(t *testing.T, s *auth.Store, name string) auth.User {
	t.Helper()
	u, err := s.User(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAuditIsNotFlooded checks that a client that keeps using an expired key writes one line a minute.
func TestAuditIsNotFlooded(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if _, err := s.RevokeKey(t.Context(), root, k.ID); err != nil {
		t.Fatal(err)
	}
	for range 120 {
		refuse(t, s, bearer(k.Secret), auth.ErrRevoked)
		refuse(t, s, auth.Credential{Source: auth.SourceProxy, Secret: "ada", Addr: here}, auth.ErrUntrustedProxy)
		now.add(time.Second)
	}
	events, err := s.Events(t.Context(), auth.EventFilter{Action: auth.ActionAuth})
	if err != nil || len(events) != 4 {
		t.Errorf("%d events in two minutes, %v; want 4", len(events), err)
	}
}
