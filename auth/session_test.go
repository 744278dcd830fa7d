package auth_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"comfygo/auth"
)

func TestSessions(t *testing.T) {
	t.Parallel()
	now := newClock()
	path := t.TempDir() + "/auth.db"
	s := openStore(t, path, func(o *auth.StoreOptions) { o.Now = now.Now })
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	var ended []auth.Revocation
	defer s.Watch(func(r auth.Revocation) { ended = append(ended, r) })()
	login := func() (auth.Session, auth.Credential) {
		t.Helper()
		v, err := s.Login(t.Context(), bearer(k.Secret))
		if err != nil {
			t.Fatal(err)
		}
		return v, auth.Credential{Source: auth.SourceCookie, Secret: v.Secret, Addr: here}
	}
	session, cookie := login()
	p, err := s.Authenticate(t.Context(), cookie)
	if err != nil || p.ID != k.Owner || p.KeyID != k.ID || p.SessionID != session.Principal.SessionID || p.Source != auth.SourceCookie || !p.Expires.Equal(session.Expires) {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := s.Login(t.Context(), cookie); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("a session begins another: %v", err)
	}
	if _, err := s.IssueToken(t.Context(), p); !errors.Is(err, auth.ErrNoTokens) {
		t.Errorf("a session makes a token: %v", err)
	}
	refuse(t, s, bearer(session.Secret), auth.ErrBadCredential)
	another := openStore(t, path, func(o *auth.StoreOptions) { o.Now = now.Now })
	if _, err := another.Authenticate(t.Context(), cookie); err != nil {
		t.Errorf("the session after a restart: %v", err)
	}
	if list, err := s.Sessions(t.Context()); err != nil || len(list) != 1 || list[0].ID != p.SessionID || list[0].User != "ursula" || list[0].Addr != here.String() {
		t.Errorf("sessions: %+v, %v", list, err)
	}
	if err := s.Logout(t.Context(), session.Secret); err != nil {
		t.Fatal(err)
	}
	if err := s.Logout(t.Context(), session.Secret); err != nil {
		t.Errorf("logging out twice: %v", err)
	}
	refuse(t, s, cookie, auth.ErrBadCredential)
	if len(ended) != 1 || !ended[0].Covers(p) || ended[0].CancelJobs {
		t.Errorf("what ended: %+v", ended)
	}
	_, cookie = login()
	if _, err := s.RevokeKey(t.Context(), root, k.ID); err != nil {
		t.Fatal(err)
	}
	refuse(t, s, cookie, auth.ErrBadCredential)

	k = makeKey(t, s, "ursula", auth.RoleUser, 0)
	_, cookie = login()
	now.add(8 * 24 * time.Hour)
	refuse(t, s, cookie, auth.ErrExpired)
	if err := s.EndSession(t.Context(), root, "s-none"); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("ending a session that is none: %v", err)
	}
}

func TestUsersEnd(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	k := makeKey(t, s, "ursula", auth.RoleUser, 0)
	p := authenticate(t, s, k.Secret)
	session, err := s.Login(t.Context(), bearer(k.Secret))
	if err != nil {
		t.Fatal(err)
	}
	cookie := auth.Credential{Source: auth.SourceCookie, Secret: session.Secret, Addr: here}
	var ended []auth.Revocation
	defer s.Watch(func(r auth.Revocation) { ended = append(ended, r) })()
	if _, err := s.SetUserDisabled(t.Context(), root, "URSULA", true); err != nil {
		t.Fatal(err)
	}
	refuse(t, s, bearer(k.Secret), auth.ErrRevoked)
	refuse(t, s, cookie, auth.ErrBadCredential)
	if _, err := s.Refresh(p); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("refreshing: %v", err)
	}
	covered := false
	for _, r := range ended {
		covered = covered || r.CancelJobs && r.Covers(p)
	}
	if !covered {
		t.Errorf("what ended: %+v", ended)
	}
	if _, err := s.SetUserDisabled(t.Context(), root, "ursula", false); err != nil {
		t.Fatal(err)
	}
	authenticate(t, s, k.Secret)
	if err := s.DeleteUser(t.Context(), root, k.Owner); err != nil {
		t.Fatal(err)
	}
	refuse(t, s, bearer(k.Secret), auth.ErrRevoked)
	next := makeKey(t, s, "ursula", auth.RoleUser, 0)
	if next.Owner == k.Owner {
		t.Error("the ID of a deleted user was given again")
	}
	refuse(t, s, bearer(k.Secret), auth.ErrRevoked)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := openStore(t, "", func(o *auth.StoreOptions) { o.Now = now.Now })
	k := makeKey(t, s, "ursula", auth.RoleUser, 30*24*time.Hour)
	now.add(time.Hour)
	second, err := s.RotateKey(t.Context(), root, k.Mask, time.Hour) // as the list shows it
	if err != nil || second.Instead != k.ID || second.Name != k.Name || !second.Expires.Equal(now.Now().Add(30*24*time.Hour)) {
		t.Fatalf("%+v, %v", second, err)
	}
	authenticate(t, s, k.Secret)
	authenticate(t, s, second.Secret)
	now.add(time.Hour)
	refuse(t, s, bearer(k.Secret), auth.ErrExpired)
	third, err := s.RotateKey(t.Context(), root, second.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, s, bearer(second.Secret), auth.ErrRevoked)
	authenticate(t, s, third.Secret)
	if _, err := s.RotateKey(t.Context(), root, second.ID, 0); !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("rotating a revoked key: %v", err)
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", func(o *auth.StoreOptions) {
		o.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	k := makeKey(t, s, "Ursula", auth.RoleUser, 0)
	for _, c := range []struct {
		addr, name string
		want       error
	}{
		{"10.1.2.3", "ursula", nil},
		{"::ffff:10.1.2.3", "URSULA", nil},
		{"fd00::1", " ursula ", nil},
		{"11.1.2.3", "ursula", auth.ErrUntrustedProxy},
		{"127.0.0.1", "ursula", auth.ErrUntrustedProxy},
		{"", "ursula", auth.ErrUntrustedProxy},
		{"10.1.2.3", "nobody", auth.ErrBadCredential},
		{"10.1.2.3", k.Owner, auth.ErrBadCredential},
		{"10.1.2.3", "", auth.ErrNoCredential},
	} {
		cred := auth.Credential{Source: auth.SourceProxy, Secret: c.name}
		if c.addr != "" {
			cred.Addr = netip.MustParseAddr(c.addr)
		}
		p, err := s.Authenticate(t.Context(), cred)
		if !errors.Is(err, c.want) || err == nil && (p.ID != k.Owner || p.KeyID != "" || p.Source != auth.SourceProxy) {
			t.Errorf("%q from %q: %+v, %v; want %v", c.name, c.addr, p, err, c.want)
		}
	}
	if _, err := s.SetUserDisabled(t.Context(), root, "ursula", true); err != nil {
		t.Fatal(err)
	}
	refuse(t, s, auth.Credential{Source: auth.SourceProxy, Secret: "ursula", Addr: netip.MustParseAddr("10.0.0.1")}, auth.ErrRevoked)
}

func TestLoginExternal(t *testing.T) {
	t.Parallel()
	s := openStore(t, "", nil)
	local := makeKey(t, s, "ada", auth.RoleAdministrator, 0)
	who := auth.Identity{Subject: "https://id.example#1", Name: "ada"}
	if _, err := s.LoginExternal(t.Context(), who, here); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("without a role: %v", err)
	}
	who.Role = "Boss"
	if _, err := s.LoginExternal(t.Context(), who, here); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("with a role that there is not: %v", err)
	}
	who.Role = auth.RoleUser
	first, err := s.LoginExternal(t.Context(), who, here)
	if err != nil {
		t.Fatal(err)
	}
	if p := first.Principal; p.ID == local.Owner || p.Name == "ada" || p.Admin || p.Role != auth.RoleUser || p.KeyID != "" {
		t.Errorf("an unauthenticated caller with the administrator's name: %+v", p)
	}
	cookie := auth.Credential{Source: auth.SourceCookie, Secret: first.Secret, Addr: here}
	if _, err := s.Authenticate(t.Context(), cookie); err != nil {
		t.Error(err)
	}
	who.Role, who.Name = auth.RoleViewer, "renamed"
	second, err := s.LoginExternal(t.Context(), who, here)
	if err != nil || second.Principal.ID != first.Principal.ID || second.Principal.Role != auth.RoleViewer {
		t.Errorf("with another role: %+v, %v", second.Principal, err)
	}
	if _, err := s.SetUserDisabled(t.Context(), root, first.Principal.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.LoginExternal(t.Context(), who, here); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("a disabled user: %v", err)
	}
	if _, err := s.LoginExternal(t.Context(), auth.Identity{Name: "x", Role: auth.RoleUser}, here); !errors.Is(err, auth.ErrBadCredential) {
		t.Errorf("without a subject: %v", err)
	}
}
