//go:build unix

package tests_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	oldKey = "the-old-key-of-this-test"
	newKey = "the-new-key-of-this-test"
)

// certify writes a certificate for 127.0.0.1 and its key into a folder.
func certify(t *testing.T, dir, name string) (keyFile, certFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	for path, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: private}, certFile: {Type: "CERTIFICATE", Bytes: cert}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return keyFile, certFile
}

// unchecked is a client that takes every certificate and opens a connection for each request.
var unchecked = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own certificate
}}

// ask sends a request with a key and returns the status, the answer, and the name in the certificate, if there is one.
func ask(t *testing.T, method, url, key, body string) (status int, answer, name string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	resp, err := unchecked.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.TLS != nil {
		name = resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	return resp.StatusCode, string(data), name
}

// soon waits until something is so, for a few seconds.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s took too long", what)
		}
	}
}

// closeCode reads until a socket is closed.
func closeCode(t *testing.T, conn *websocket.Conn) (code websocket.StatusCode, after time.Duration) {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			var c websocket.CloseError
			if !errors.As(err, &c) {
				t.Fatalf("the socket ended with %v", err)
			}
			return c.Code, time.Since(begun)
		}
	}
}

// TestSIGHUP changes the key file and the certificate of a running server.
func TestSIGHUP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	write := func(key string) {
		if err := os.WriteFile(keys, []byte("# ours\n\n  "+key+" \n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(oldKey)
	keyFile, certFile := certify(t, dir, "first")
	server := start(t, "--api-key-file", keys, "--tls-keyfile", keyFile, "--tls-certfile", certFile)
	if !strings.HasPrefix(server.Base, "https://") {
		t.Fatalf("the server listens at %s", server.Base)
	}
	if status, _, name := ask(t, "GET", server.Base+"/queue", oldKey, ""); status != 200 || name != "first" {
		t.Errorf("before: %d, %s", status, name)
	}
	conn, _, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(server.Base, "https")+"/ws?token="+oldKey, &websocket.DialOptions{HTTPClient: unchecked})
	if err != nil {
		t.Fatal(err)
	}
	write(newKey)
	certify(t, dir, "second")
	if err := syscall.Kill(server.process.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code, _ := closeCode(t, conn); code != 4401 {
		t.Errorf("the old key's socket closed with %d", code)
	}
	soon(t, "the new key and certificate", func() bool {
		status, _, name := ask(t, "GET", server.Base+"/queue", newKey, "")
		return status == 200 && name == "second"
	})
	if status, _, _ := ask(t, "GET", server.Base+"/queue", oldKey, ""); status != 401 {
		t.Errorf("the old key: %d", status)
	}
	for _, secret := range []string{oldKey, newKey} {
		if strings.Contains(server.process.Log(), secret) {
			t.Error("the log holds a key")
		}
	}
}

// keyCommand runs the program with a base folder and reads the JSON that it prints.
func keyCommand(t *testing.T, base string, to any, words ...string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, append(words, "--base-directory", base, "--json")...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", words, err, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), to); err != nil {
		t.Fatalf("%v: %v in %s", words, err, out.String())
	}
}

// key is a key as the commands print it.
type key struct {
	ID, Owner string
	Secret    string `json:"key"`
}

// TestKeyStore makes users and keys with the commands, runs a workflow as one of them, and revokes the key while the
// server runs: the socket closes within a second though another process has done it.
func TestKeyStore(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	var ada, ben key
	for name, role := range map[string]string{"ada": "Administrator", "ben": "User"} {
		var user struct{ ID string }
		keyCommand(t, base, &user, "users", "create", name, "--role", role)
	}
	keyCommand(t, base, &ada, "keys", "create", "--user", "ada", "--name", "a")
	keyCommand(t, base, &ben, "keys", "create", "--user", "ben", "--name", "b")
	p := launch(t, base, "--auth")
	if status, _, _ := ask(t, "GET", p.URL+"/queue", "", ""); status != 401 {
		t.Errorf("without a key: %d", status)
	}
	if status, _, _ := ask(t, "GET", p.URL+"/ready", "", ""); status != 200 {
		t.Errorf("/ready: %d", status)
	}
	const graph = `{"prompt": {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
		"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}}}}`
	status, done, _ := ask(t, "POST", p.URL+"/prompt?wait=60", ben.Secret, graph)
	if status != 200 || !strings.Contains(done, `"mine_00001_.png"`) {
		t.Fatalf("the prompt: %d %s", status, done)
	}
	if _, err := os.Stat(filepath.Join(base, "output", "@"+ben.Owner, "mine_00001_.png")); err != nil {
		t.Errorf("the image is not in its owner's folder: %v", err)
	}
	const runImage = "/view?filename=mine_00001_.png&type=output"
	if status, _, _ := ask(t, "GET", p.URL+runImage, ben.Secret, ""); status != 200 {
		t.Errorf("the owner's look at the image: %d", status)
	}
	if status, _, _ := ask(t, "GET", p.URL+runImage, ada.Secret, ""); status != 404 {
		t.Errorf("another user's look at the image: %d", status)
	}
	if status, _, _ := ask(t, "GET", p.URL+runImage+"&owner=ben", ada.Secret, ""); status != 200 {
		t.Errorf("the administrator's look at the image: %d", status)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(p.URL, "http")+"/ws?token="+ben.Secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	var revoked key
	keyCommand(t, base, &revoked, "keys", "revoke", ben.ID)
	if code, after := closeCode(t, conn); code != 4401 || after > time.Second {
		t.Errorf("the socket closed with %d after %s", code, after)
	}
	if status, _, _ := ask(t, "GET", p.URL+"/queue", ben.Secret, ""); status != 401 {
		t.Errorf("the revoked key: %d", status)
	}
	if log := p.Log(); strings.Contains(log, ben.Secret) || strings.Contains(log, ada.Secret) {
		t.Error("the log holds a key")
	}
}
