package imaging_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/webp"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/memory"
)

// ledger is a budget that grants what it has and records the requests.
type ledger struct {
	left, most, held int64
}

// Reserve implements imaging.Budget.
func (l *ledger) Reserve(_ context.Context, what string, n int64) (func(), error) {
	if n > l.left {
		return nil, &memory.SizeError{What: what, Need: uint64(n), Free: uint64(l.left)}
	}
	l.held += n
	l.most = max(l.most, l.held)
	return func() { l.held -= n }, nil
}

func source(t *testing.T, name string, budget imaging.Budget) imaging.Source {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return imaging.Source{Data: data, Limits: codec.DefaultLimits, Budget: budget}
}

// TestStepsAreCharged checks that every step reserves its memory before it decodes, releases it, and is refused if there is
// less.
func TestStepsAreCharged(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	steps := map[string]func(s imaging.Source, b imaging.Budget, w *bytes.Buffer) error{
		"load": func(s imaging.Source, b imaging.Budget, _ *bytes.Buffer) error {
			_, err := imaging.Load(ctx, s.Data, s.Limits, b)
			return err
		},
		"preview": func(s imaging.Source, _ imaging.Budget, w *bytes.Buffer) error {
			return s.Preview(ctx, w, "webp", 80, false)
		},
		"jpeg": func(s imaging.Source, _ imaging.Budget, w *bytes.Buffer) error {
			return s.Preview(ctx, w, "jpeg", 80, false)
		},
		"channel": func(s imaging.Source, _ imaging.Budget, w *bytes.Buffer) error { return s.Channel(ctx, w, "rgb") },
		"mask":    func(s imaging.Source, _ imaging.Budget, w *bytes.Buffer) error { return s.Mask(ctx, w, s, "png", nil) },
		"rgb": func(s imaging.Source, _ imaging.Budget, _ *bytes.Buffer) error {
			_, _, _, err := s.OpenRGB(ctx)
			return err
		},
	}
	for _, name := range []string{
		"load/rgba_20x18.bmp", "load/whole_base.jpg", "load/whole_x.png", "load/whole_x.gif", "load/whole_x.tif", "load/whole_x.ppm", "load/whole_x.pcx",
		"load/rgba_20x18.tga", "load/alpha_20x18.webp", "load/lossless_20x18.webp", "load/moving_20x18.webp",
	} {
		for step, do := range steps {
			rich, poor := &ledger{left: 1 << 30}, &ledger{left: 1000}
			var b bytes.Buffer
			if err := do(source(t, name, rich), rich, &b); err != nil {
				t.Errorf("%s of %s: %v", step, name, err)
			}
			pixels := int64(18 * 20)
			if rich.most < pixels*3 || rich.held != 0 {
				t.Errorf("%s of %s reserved %d bytes and kept %d", step, name, rich.most, rich.held)
			}
			var size *imaging.SizeError
			if err := do(source(t, name, poor), poor, &b); !errors.As(err, &size) {
				t.Errorf("%s of %s in 1000 bytes: %v", step, name, err)
			}
		}
	}
}

// TestStepsEndWithTheirContext: making something of a decoded frame ends with the context, too.
func TestStepsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	s := source(t, "load/whole_x.png", nil)
	for step, err := range map[string]error{
		"preview": s.Preview(ctx, &bytes.Buffer{}, "webp", 80, false), "channel": s.Channel(ctx, &bytes.Buffer{}, "a"), "mask": s.Mask(ctx, &bytes.Buffer{}, s, "webp", nil),
	} {
		if !errors.Is(err, gone) {
			t.Errorf("%s: %v", step, err)
		}
	}
}

// TestPreviewFormats: previews have the size of the image, and transparency where it is kept.
func TestPreviewFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, format string
		opaque       bool
		alpha        bool
	}{
		{"load/rgba_20x18.tga", "webp", false, true},
		{"load/rgba_20x18.tga", "webp", true, false},
		{"load/rgba_20x18.tga", "jpeg", false, false},
		{"load/rgb_20x18.ppm", "webp", false, false},
		{"load/soft_20x18.avif", "webp", false, false},
		{"load/opaque_20x18.webp", "webp", false, false},
	} {
		var b bytes.Buffer
		if err := source(t, c.file, nil).Preview(t.Context(), &b, c.format, 90, c.opaque); err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		decode := webp.Decode
		if c.format == "jpeg" {
			decode = jpeg.Decode
		}
		img, err := decode(&b)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		_, alpha := img.(*image.NYCbCrA)
		if img.Bounds().Size() != image.Pt(20, 18) || alpha != c.alpha {
			t.Errorf("%v: %T of %v", c, img, img.Bounds())
		}
	}
}

// TestMask puts the alpha of one image over the colors of another.
func TestMask(t *testing.T) {
	t.Parallel()
	original, mask := source(t, "load/rgb_20x18.ppm", nil), source(t, "load/rgba_20x18.tif", nil)
	var b bytes.Buffer
	if err := original.Mask(t.Context(), &b, mask, "png", []imaging.Text{{Key: "k", Value: "v"}}); err != nil {
		t.Fatal(err)
	}
	texts, err := imaging.ReadText(bytes.NewReader(b.Bytes()))
	if err != nil || len(texts) != 1 {
		t.Errorf("%v, %v", texts, err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	colors, _, err := shown(original.Data)
	if err != nil {
		t.Fatal(err)
	}
	alphas, _, err := shown(mask.Data)
	if err != nil {
		t.Fatal(err)
	}
	got := img.(*image.NRGBA)
	for i := range got.Pix {
		want := colors[0].Pix[i]
		if i%4 == 3 {
			want = alphas[0].Pix[i]
		}
		if got.Pix[i] != want {
			t.Fatalf("byte %d is %d, want %d", i, got.Pix[i], want)
		}
	}
	if err := original.Mask(t.Context(), &b, source(t, "load/whole_x.png", nil), "png", nil); err == nil || !strings.Contains(err.Error(), "48x40") {
		t.Errorf("a mask of another size: %v", err)
	}
}
