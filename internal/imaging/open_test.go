package imaging_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"image"
	"math"
	"os"
	"path/filepath"
	"testing"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/memory"
)

// TestLoadExact holds the values of LoadImage on the real server: the hashes are those of the PNG rows that SaveImage
// made of the images and masks (recorded exchanges load_image.*).
func TestLoadExact(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ image, mask string }{
		"rgba_8x6.png": {
			"819f0a920e46914c53942e7125cfac48ad0061a07bd88832c3baa18baaf27f5a",
			"a15860e4dc1c99e06d44a8d87003640531c6bd6005eac361bf8f01feae92eee1",
		},
		"rgb_5x4.png": {image: "4ff1358085e41d771d577733a5a3c41da0dd3f8763c8991b2c0d4107095d0464"},
		"pal_5x4.png": {
			"b5290ec53dc9451181c63944499db385ea42e6e24581f13aee6345bed65467a4",
			"fe8b014c702922e7c5ec9927f7decb7d9323df54dae90b7fd5eded8ab8eada14",
		},
		"anim_32x24.gif": {
			"9a9832d8ae3040317203eaba5d636e5d0994afaaa11e8ea0554893056261d809", // 254 for 255: through YUV
			"cfc335996cfae29fdf14fd2db7ea853366d350a5d387aa3c322616e81dacd56b",
		},
	} {
		data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		l, err := load(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := sha(imaging.ToBytes(l.Images.Index(0).Data)); got != want.image {
			t.Errorf("%s: the image has the hash %s", name, got)
		}
		if l.Alpha == nil {
			if want.mask != "" {
				t.Errorf("%s: no alpha", name)
			}
			continue
		}
		var mask []float32
		for _, a := range l.Alpha.Index(0).Data {
			mask = append(mask, 1-a, 1-a, 1-a)
		}
		if got := sha(imaging.ToBytes(mask)); got != want.mask {
			t.Errorf("%s: the mask has the hash %s", name, got)
		}
	}
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestBytesComeBack: loading and saving an image must not change it.
func TestBytesComeBack(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := make([]float32, 256)
	imaging.FromBytes(values, all)
	if got := imaging.ToBytes(values); !bytes.Equal(got, all) {
		t.Errorf("got %v", got)
	}
	odd := []float32{float32(math.NaN()), -1, 2, float32(math.Inf(1)), float32(math.Inf(-1)), 0.999999}
	if got := imaging.ToBytes(odd); !bytes.Equal(got, []byte{0, 0, 255, 255, 0, 254}) {
		t.Errorf("got %v", got)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "hello", "\x89PNG\r\n\x1a\n", "GIF89a", "BM", "RIFF\x00\x00\x00\x00WEBP", "II*\x00", "P6\n", "P6 0 1 255\n0", "\xff\xd8\xff"} {
		if _, err := load([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	if _, err := load([]byte("hello")); !errors.Is(err, codec.ErrUnknown) {
		t.Errorf("an unknown file: %v", err)
	}
}

// pngHead is a PNG file that ends behind its header.
func pngHead(size image.Point) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(size.X))
	head = binary.BigEndian.AppendUint32(head, uint32(size.Y))
	head = append(head, 8, 2, 0, 0, 0)
	data := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	data = append(data, head...)
	data = binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(append([]byte("IHDR"), head...)))
	return append(data, 0, 0, 0, 1, 'I', 'D', 'A', 'T', 0)
}

// TestLoadTooLarge: an image's announced size is refused before anything of that size is made.
func TestLoadTooLarge(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]image.Point{"too many pixels": {X: 60000, Y: 60000}, "huge": {X: 1 << 30, Y: 1 << 30}} {
		var limit *codec.LimitError
		if _, err := load(pngHead(size)); !errors.As(err, &limit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	small := &memory.Budget{Free: func() uint64 { return memory.Margin + 10<<20 }}
	var size *imaging.SizeError
	if _, err := imaging.Load(context.Background(), pngHead(image.Pt(1000, 1000)), codec.DefaultLimits, small); !errors.As(err, &size) {
		t.Errorf("an image of 12 MB in 10 MB: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/[plu]*/*") // images, load and upstream
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	limits := codec.Limits{Pixels: 1 << 16, Frames: 20, Passes: 20, Pieces: 1 << 12, Work: 1 << 18}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := imaging.Load(context.Background(), data, limits, memory.Process)
		if err != nil {
			return
		}
		n, h, w := l.Images.Shape[0], l.Images.Shape[1], l.Images.Shape[2]
		if len(l.Images.Data) != n*h*w*3 || l.Alpha != nil && len(l.Alpha.Data) != n*h*w {
			t.Fatalf("%d values for %d frames of %dx%d", len(l.Images.Data), n, w, h)
		}
		source := imaging.Source{Data: data, Limits: limits, Budget: memory.Process}
		const longest = 16383 // of a WebP image's sides
		var b bytes.Buffer
		if err := source.Preview(context.Background(), &b, "webp", 50, false); (err == nil) != (max(h, w) <= longest) {
			t.Fatalf("it loads as %dx%d, its preview: %v", w, h, err)
		}
	})
}
