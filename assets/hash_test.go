package assets_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/assets"
)

// TestHash has the algorithm's own test vectors.
func TestHash(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":    "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
		"abc": "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
	} {
		h := assets.NewHasher()
		_, _ = h.Write([]byte(text))
		if got := h.Hash(); got != want {
			t.Errorf("the hash of %q is %s", text, got)
		}
		if got, ok := assets.CleanHash(" " + strings.ToUpper(want)); !ok || got != want {
			t.Errorf("cleaned: %s, %v", got, ok)
		}
	}
	for _, bad := range []string{"", "blake3:", "sha256:" + strings.Repeat("0", 64), "blake3:" + strings.Repeat("0", 63), "blake3:" + strings.Repeat("g", 64), "blake3:" + strings.Repeat("0", 64) + "\x00"} {
		if _, ok := assets.CleanHash(bad); ok {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

// TestHashHeld hashes a file of several pieces with a pause before each, in which the file is closed.
func TestHashHeld(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("0123456789", 350_000))
	h := assets.NewHasher()
	_, _ = h.Write(text)
	path := filepath.Join(t.TempDir(), "f")
	reset := func() {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	reset()
	pauses := 0
	got, err := assets.HashFile(t.Context(), path, func(pause func()) error {
		pauses++
		pause()
		return nil
	})
	if err != nil || got != h.Hash() || pauses < 4 {
		t.Errorf("with %d pauses: %s, %v; want %s", pauses, got, err, h.Hash())
	}

	stop := errors.New("stop")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx  context.Context
		wait func(pieces int, pause func()) error
		want string
	}{
		"shortened": {t.Context(), func(n int, pause func()) error {
			if n == 2 {
				pause()
				return os.Truncate(path, 10)
			}
			return nil
		}, "changed"},
		"grown while it is read": {t.Context(), func(n int, _ func()) error {
			if n == 2 {
				return os.WriteFile(path, append(text, 'x'), 0o644)
			}
			return nil
		}, "changed"},
		"gone": {t.Context(), func(n int, pause func()) error {
			if n == 2 {
				pause()
				return os.Remove(path)
			}
			return nil
		}, "changed"},
		"stopped":   {t.Context(), func(int, func()) error { return stop }, "stop"},
		"cancelled": {ended, func(int, func()) error { return nil }, "canceled"},
	} {
		reset()
		pieces := 0
		got, err := assets.HashFile(c.ctx, path, func(pause func()) error {
			pieces++
			return c.wait(pieces, pause)
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v", what, got, err)
		}
	}
	if _, err := assets.HashFile(t.Context(), filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a file that is not there has a hash")
	}
}
