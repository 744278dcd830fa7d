package app_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"comfygo/app"
	"comfygo/cli"
)

func TestListen(t *testing.T) {
	t.Parallel()
	ends, err := app.Listen(t.Context(), cli.Config{Listen: "127.0.0.1, 127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ends[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for i, host := range []string{"127.0.0.1", "127.0.0.2"} {
		if want := "http://" + host + ":" + port; ends[i].URL() != want {
			t.Errorf("address %s, want %s", ends[i].URL(), want)
		}
	}
	taken, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.Listen(t.Context(), cli.Config{Listen: "127.0.0.3,127.0.0.1", Port: taken})
	if err == nil || !strings.Contains(err.Error(), "port "+port+" is already in use on address 127.0.0.1") {
		t.Errorf("error %v", err)
	}
	again, err := app.Listen(t.Context(), cli.Config{Listen: "127.0.0.3", Port: taken})
	if err != nil {
		t.Fatalf("the first of two addresses stayed open: %v", err)
	}
	for _, e := range append(ends, again...) {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	for _, cfg := range []cli.Config{
		{Listen: "256.1.1.1"},
		{Listen: "127.0.0.1", Port: 70000},
		{Listen: "127.0.0.1", TLSKeyFile: "none.pem", TLSCertFile: "none.pem"},
	} {
		if ends, err := app.Listen(t.Context(), cfg); err == nil {
			t.Errorf("%+v was accepted: %v", cfg, ends)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1,::1": true, "localhost": true, "127.5.6.7": true,
		"0.0.0.0": false, "0.0.0.0,::": false, "127.0.0.1,192.168.1.5": false, "": false, "myhost": false,
	} {
		if got := app.OnlyLoopback(list); got != want {
			t.Errorf("%q: %v, want %v", list, got, want)
		}
	}
}

func TestDeployEnvironment(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "local-git", "docker\n": "docker", "  desktop  \nmore": "desktop", "a\x01b\u00e9c": "abc", "\nsecond": "local-git",
		strings.Repeat("x", 200): strings.Repeat("x", 128),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ".comfy_environment"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := app.DeployEnvironment(dir); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	if got := app.DeployEnvironment(t.TempDir()); got != "local-git" {
		t.Errorf("without the file: %q", got)
	}
}

// TestListenOnName binds every address of localhost, and prints the name once.
func TestListenOnName(t *testing.T) {
	t.Parallel()
	known, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	ends, err := app.Listen(t.Context(), cli.Config{Listen: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ends[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range ends {
		if want := map[bool]string{true: "http://localhost:" + port}[i == 0]; e.URL() != want {
			t.Errorf("address %d is %q, want %q", i, e.URL(), want)
		}
	}
	for _, ip := range known {
		probe, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			continue // this machine has no address of that family
		}
		_ = probe.Close()
		conn, err := net.Dial("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Errorf("no server listens on %s: %v", ip, err)
			continue
		}
		_ = conn.Close()
	}
	for _, e := range ends {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
