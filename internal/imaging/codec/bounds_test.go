package codec_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/imaging/codec"
	_ "comfygo/internal/imaging/codec/all"
)

// fixture reads a file of the imaging tests.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// scans repeats the last scan of a progressive JPEG.
func scans(data []byte, times int) []byte {
	last := bytes.LastIndex(data, []byte{0xff, 0xda})
	end := len(data) - 2 // the end marker
	out := bytes.Clone(data[:last])
	for range times {
		out = append(out, data[last:end]...)
	}
	return append(out, data[end:]...)
}

// frames returns a GIF of the given number of frames of one pixel.
func frames(t *testing.T, n int) []byte {
	t.Helper()
	g := &gif.GIF{}
	for range n {
		g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.Black, color.White}))
		g.Delay = append(g.Delay, 0)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// largeFrame is a GIF of one pixel whose frame has 64.
func largeFrame(t *testing.T) []byte {
	t.Helper()
	data := frames(t, 1)
	at := bytes.LastIndexByte(data, 0x2c)
	data[at+5], data[at+7] = 8, 8
	return data
}

// strips is a gray TIFF of one pixel by n rows in strips of a row.
func strips(n int) []byte {
	out := binary.LittleEndian.AppendUint32([]byte("II*\x00"), 8)
	entries := [][3]uint32{{256, 1, 1}, {257, 1, uint32(n)}, {258, 1, 8}, {259, 1, 1}, {262, 1, 1}, {273, uint32(n), 8}, {278, 1, 1}}
	out = binary.LittleEndian.AppendUint16(out, uint16(len(entries)))
	for _, e := range entries {
		out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(out, uint16(e[0])), 4)
		out = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(out, e[1]), e[2])
	}
	return append(out, make([]byte, 4*n)...)
}

// TestLimits: what a file announces beyond a limit is refused by Open, before anything is decoded.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data   []byte
		limits func(l *codec.Limits)
		what   string
	}{
		"scans of a jpeg":                         {scans(fixture(t, "load/whole_prog.jpg"), 30), func(l *codec.Limits) { l.Passes = 20 }, "scans"},
		"scans by default":                        {scans(fixture(t, "load/whole_prog.jpg"), 200), func(*codec.Limits) {}, "scans"},
		"work of a jpeg":                          {scans(fixture(t, "load/whole_prog.jpg"), 30), func(l *codec.Limits) { l.Work = 10 * 48 * 40 }, "in all frames"},
		"frames of a gif":                         {frames(t, 12), func(l *codec.Limits) { l.Frames = 10 }, "frames"},
		"frames of an apng":                       {fixture(t, "upstream/anim00_20x12.png"), func(l *codec.Limits) { l.Frames = 2 }, "frames"},
		"work of an apng":                         {fixture(t, "upstream/anim00_20x12.png"), func(l *codec.Limits) { l.Work = 2 * 20 * 12 }, "in all frames"},
		"frames of a webp":                        {fixture(t, "pictures/anim_12x10.webp"), func(l *codec.Limits) { l.Frames = 1 }, "frames"},
		"a gif of frames that are larger than it": {largeFrame(t), func(l *codec.Limits) { l.Passes = 50 }, "scans or passes"},
		"strips of a tiff":                        {strips(40), func(l *codec.Limits) { l.Pieces = 30 }, "strips"},
		"pixels of a png":                         {fixture(t, "pictures/rgb_5x4.png"), func(l *codec.Limits) { l.Pixels = 19 }, "pixels"},
		"pixels of a lossy webp":                  {fixture(t, "pictures/lossy_16x12.webp"), func(l *codec.Limits) { l.Pixels = 100 }, "pixels"},
		"pixels of a raw webp":                    {fixture(t, "pictures/lossless_8x6.webp"), func(l *codec.Limits) { l.Pixels = 40 }, "pixels"},
		"pixels of a bmp":                         {fixture(t, "pictures/rgb_7x9.bmp"), func(l *codec.Limits) { l.Pixels = 60 }, "pixels"},
		"pixels of a tga":                         {fixture(t, "load/rgb_20x18.tga"), func(l *codec.Limits) { l.Pixels = 300 }, "pixels"},
		"pixels of a pcx":                         {fixture(t, "load/rgb_20x18.pcx"), func(l *codec.Limits) { l.Pixels = 300 }, "pixels"},
		"pixels of a ppm":                         {[]byte("P6 100 100 255\n"), func(l *codec.Limits) { l.Pixels = 9000 }, "pixels"},
		"pixels of an avif":                       {fixture(t, "load/soft_20x18.avif"), func(l *codec.Limits) { l.Pixels = 300 }, "pixels"},
	} {
		l := codec.DefaultLimits
		c.limits(&l)
		var limit *codec.LimitError
		if _, err := codec.Open(c.data, l); !errors.As(err, &limit) || !strings.Contains(limit.What, c.what) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasSuffix(name, "default") {
			continue
		}
		if _, err := codec.Open(c.data, codec.DefaultLimits); err != nil {
			t.Errorf("%s by default: %v", name, err)
		}
	}
}

// TestContext: decoding of every format ends with its context and the context's cause.
func TestContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("the client has left")
	for _, name := range []string{
		"load/whole_prog.jpg", "load/whole_base.jpg", "load/whole_x.png", "load/whole_x.gif", "load/whole_x.tif", "load/whole_x.ppm", "load/whole_x.pcx",
		"load/rgb_20x18.tga", "load/rgb_20x18.bmp", "load/lossy_20x18.webp", "load/lossless_20x18.webp", "load/moving_20x18.webp", "load/soft_20x18.avif",
		"upstream/anim00_20x12.png",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := codec.Open(fixture(t, name), codec.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(gone)
			err = f.Decode(ctx, func(*codec.Frame) error { t.Error("a frame was decoded"); return nil })
			if !errors.Is(err, gone) {
				t.Errorf("%v", err)
			}
			settled := make(chan struct{})
			f.Settle(func() { close(settled) })
			<-settled
		})
	}
}

// TestContextWithin: a context that ends between the frames of an animation ends it.
func TestContextWithin(t *testing.T) {
	t.Parallel()
	for _, data := range [][]byte{frames(t, 50), fixture(t, "upstream/anim00_20x12.png"), fixture(t, "load/moving_20x18.webp")} {
		f, err := codec.Open(data, codec.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err = f.Decode(ctx, func(*codec.Frame) error { n++; cancel(); return nil })
		if !errors.Is(err, context.Canceled) || n != 1 {
			t.Errorf("%s: %d frames, %v", f.Format, n, err)
		}
	}
}

// TestDetachKeepsTheReservation: what is left to itself is released when it ends, not when its caller has gone.
func TestDetachKeepsTheReservation(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	goOn, done := make(chan struct{}), make(chan struct{})
	cancel()
	err := codec.Detach(ctx, func() error { <-goOn; close(done); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	select {
	case <-done:
		t.Error("the work did not go on")
	default:
	}
	close(goOn)
	<-done
	defer func() {
		if r := recover(); r != "broken" {
			t.Errorf("the panic of the work came as %v", r)
		}
	}()
	_ = codec.Detach(t.Context(), func() error { panic("broken") })
}

// TestForeign names formats that are recognized and not decoded.
func TestForeign(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]string{
		"\x00\x00\x00\x0cjP  \r\n\x87\n": "JPEG 2000", "\xff\x4f\xff\x51": "JPEG 2000", "8BPS\x00\x01": "Photoshop", "\x00\x00\x01\x00\x01\x00": "icon",
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00": "HEIC", "\x89PNG\r\n\x1a\n": "", "hello": "", "": "", "RIFF\x00\x00\x00\x00WAVEfmt ": "",
	} {
		if got := codec.Foreign([]byte(head)); got != want {
			t.Errorf("%q is %q, want %q", head, got, want)
		}
	}
	_, err := codec.Open([]byte("\x00\x00\x00\x0cjP  \r\n\x87\n"), codec.DefaultLimits)
	if !errors.Is(err, codec.ErrUnknown) || !strings.Contains(err.Error(), "JPEG 2000") || !strings.Contains(err.Error(), "png") {
		t.Errorf("%v", err)
	}
	for _, head := range []string{"RIFF\x00\x00\x00\x00WAVEfmt ", "fLaC", "OggS", "ID3", "\xff\xfb\x90"} {
		if !codec.IsAudio([]byte(head)) {
			t.Errorf("%q is no audio", head)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil || codec.IsAudio(b.Bytes()) {
		t.Errorf("a jpeg is audio, or %v", err)
	}
}
