//go:build unix

package app_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"comfygo/app"
)

func TestHangup(t *testing.T) {
	calls := make(chan string, 4)
	log := app.OnHangup(t,
		func() error { calls <- "bad"; return errors.New("it is gone") },
		nil,
		func() error { calls <- "good"; return nil })
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"bad", "good"} {
			select {
			case got := <-calls:
				if got != want {
					t.Errorf("read again: %s, want %s", got, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("SIGHUP has no effect")
			}
		}
	}
	if text := log(); !strings.Contains(text, "it is gone") {
		t.Errorf("the log: %s", text)
	}
}
