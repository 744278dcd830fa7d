package app

import (
	"bytes"
	"log/slog"
	"sync"
	"testing"

	"comfygo/auth"
	"comfygo/cli"
)

// WideOpen is the warning for a server without authentication.
var WideOpen = wideOpen

// lines is a log that may be written and read at the same time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// OpenAccess makes the gate of a command line in a folder and closes it again.
func OpenAccess(t *testing.T, base string, words ...string) (auth.Mode, string, error) {
	t.Helper()
	cfg, err := cli.Parse(append(words, "--base-directory", base)...)
	if err != nil {
		t.Fatal(err)
	}
	text := &lines{}
	log := &Log{Logger: slog.New(slog.NewTextHandler(text, nil))}
	dirs, err := openFolders(cfg, log.Logger)
	if err != nil {
		t.Fatal(err)
	}
	a, err := openAccess(cfg, dirs, log)
	if err != nil {
		return 0, text.String(), err
	}
	return a.gate.Mode(), text.String(), a.gate.Close()
}

// OnHangup calls the functions on SIGHUP until the test ends, and returns what is logged.
func OnHangup(t *testing.T, reload ...func() error) (log func() string) {
	text := &lines{}
	t.Cleanup(onHangup(&Log{Logger: slog.New(slog.NewTextHandler(text, nil))}, reload...))
	return text.String
}
