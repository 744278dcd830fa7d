package images_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/internal/memory"
	"comfygo/server/disk"
	"comfygo/server/images"
	"comfygo/server/reply"
)

// service has one PNG of 1000x1000 in its input folder.
func service(t *testing.T) (s *images.Service, file string) {
	t.Helper()
	base := t.TempDir()
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(f.Input(), "a.png")
	if err := os.MkdirAll(f.Input(), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 1000, 1000))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return images.New(disk.New(f)), file
}

// TestOutOfMemory: what needs more memory than --max-memory leaves is refused with 507 and a code.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s, file := service(t)
	b := &memory.Budget{Free: func() uint64 { return 1 << 40 }, Resident: func() uint64 { return 1 << 30 }}
	b.SetLimit(1<<30 + memory.Margin + 2<<20)
	s.Budget = b
	ctx := t.Context()
	_, preview := s.Preview(ctx, file, "webp", 80, false)
	for step, err := range map[string]error{
		"preview": preview, "channel": s.Channel(ctx, &bytes.Buffer{}, file, "rgb"), "mask": s.Mask(ctx, &bytes.Buffer{}, file, file, "png", nil),
	} {
		var refusal *reply.Refusal
		if !errors.As(err, &refusal) || refusal.Status != http.StatusInsufficientStorage || refusal.Typ != "out_of_memory" {
			t.Errorf("%s: %v", step, err)
		}
	}
	b.SetLimit(0)
	if _, err := s.Preview(ctx, file, "webp", 80, false); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// TestLimits: files beyond the limits are the client's mistake.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, file := service(t)
	s.Limits.Pixels = 1000
	var unusable *reply.Unusable
	if _, err := s.Preview(t.Context(), file, "webp", 80, false); !errors.As(err, &unusable) {
		t.Errorf("%v", err)
	}
}

// TestGone: a request that has gone ends its work.
func TestGone(t *testing.T) {
	t.Parallel()
	s, file := service(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Preview(ctx, file, "webp", 80, false); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestSpill: answers of any size come out as they were written.
func TestSpill(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1000, 5 << 20} {
		want := bytes.Repeat([]byte("comfy go"), n/8)
		s := &images.Spill{}
		for rest := want; len(rest) > 0; {
			k := min(len(rest), 70_000)
			if _, err := s.Write(rest[:k]); err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		var got bytes.Buffer
		if _, err := s.WriteTo(&got); err != nil {
			t.Fatal(err)
		}
		if _, small := s.Small(); !bytes.Equal(got.Bytes(), want) || s.Size() != int64(len(want)) || small != (n < 4<<20) {
			t.Errorf("%d bytes: %d came out, %d told, small %v", len(want), got.Len(), s.Size(), small)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
