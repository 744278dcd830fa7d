package imaging_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/imaging"
)

type wantFrame struct {
	W, H  int
	Alpha bool
	RGBA  string
}

// readWanted reads a packed golden file.
func readWanted[T any](t *testing.T, path string) map[string]T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var wanted map[string]T
	if err := json.NewDecoder(z).Decode(&wanted); err != nil {
		t.Fatal(err)
	}
	return wanted
}

// lossy lists the files whose format leaves the decoder freedom, with the greatest allowed difference of a byte and of
// the mean: Pillow smooths the halved chroma of JPEG, FFmpeg (upstream's first choice) and this decoder do not when the height is even.
var lossy = map[string]struct{ most, mean float64 }{
	"smooth_64x48.jpg": {8, 2.5}, "cmyk_64x48.jpg": {8, 2.5}, "photo_64x48.jpg": {8, 2.5}, "rotated_exif6.jpg": {8, 2.5},
	"smooth_64x48.webp": {3, 1}, "smootha_64x48.webp": {3, 1}, "animlossy_64x48.webp": {3, 1}, "lossy_16x12.webp": {3, 1},
}

// TestOpenEqualsPillow compares every picture in testdata with Pillow 13's pixels.
func TestOpenEqualsPillow(t *testing.T) {
	t.Parallel()
	wanted := readWanted[[]wantFrame](t, "testdata/pictures.json.gz")
	if len(wanted) < 30 {
		t.Fatalf("only %d pictures", len(wanted))
	}
	for name, want := range wanted {
		if name == "gray16_3x2.png" { // Pillow clips 16-bit values to 255 there; see TestOpenExact
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
			if err != nil {
				t.Fatal(err)
			}
			p, err := imaging.Open(data)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Frames) != len(want) || p.Width != want[0].W || p.Height != want[0].H {
				t.Fatalf("%d frames of %dx%d, want %d of %dx%d", len(p.Frames), p.Width, p.Height, len(want), want[0].W, want[0].H)
			}
			if alpha := want[0].Alpha || strings.HasSuffix(name, ".gif"); p.Alpha != alpha {
				t.Errorf("alpha is %v, want %v", p.Alpha, alpha)
			}
			comparePixels(t, name, p, want)
		})
	}
}

// rounded reports whether a file's colours are rounded as upstream's are, which TestThroughYUV holds.
func rounded(name string) bool {
	return strings.HasSuffix(name, ".gif") || strings.HasSuffix(name, ".bmp")
}

func comparePixels(t *testing.T, name string, p *imaging.Picture, want []wantFrame) {
	t.Helper()
	images, alpha := p.Tensors()
	rgb := imaging.ToBytes(images.Data)
	var mask []byte
	if alpha != nil {
		mask = imaging.ToBytes(alpha.Data)
	}
	at, most, sum := 0, 0.0, 0.0
	for i, f := range want {
		pix, err := hex.DecodeString(f.RGBA)
		if err != nil {
			t.Fatal(err)
		}
		for j := 0; j < len(pix); j += 4 {
			nearlyOpaque := mask != nil && rounded(name) && pix[j+3] == 255 && mask[at] == 254
			if mask != nil && mask[at] != pix[j+3] && !nearlyOpaque {
				t.Fatalf("frame %d, pixel %d: alpha %d, want %d", i, j/4, mask[at], pix[j+3])
			}
			for c := range 3 {
				if pix[j+3] == 0 {
					continue // the colour of what cannot be seen
				}
				d := float64(rgb[3*at+c]) - float64(pix[j+c])
				most, sum = max(most, d, -d), sum+max(d, -d)
			}
			at++
		}
	}
	mean := sum / float64(len(rgb))
	allowed := lossy[name]
	if rounded(name) {
		allowed.most, allowed.mean = 2, 2
	}
	if most > allowed.most || mean > allowed.mean {
		t.Errorf("bytes differ by up to %g, %.3g in the mean; allowed %v", most, mean, allowed)
	} else if most > 0 {
		t.Logf("bytes differ by up to %g, %.3g in the mean", most, mean)
	}
}

// TestOpenExact holds the values of LoadImage on the real server: the hashes are those of the PNG rows that SaveImage
// made of the images and masks (recorded exchanges load_image.*).
func TestOpenExact(t *testing.T) {
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
			"9a9832d8ae3040317203eaba5d636e5d0994afaaa11e8ea0554893056261d809", // 254 for 255: see throughYUV
			"cfc335996cfae29fdf14fd2db7ea853366d350a5d387aa3c322616e81dacd56b",
		},
	} {
		data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
		if err != nil {
			t.Fatal(err)
		}
		p, err := imaging.Open(data)
		if err != nil {
			t.Fatal(err)
		}
		images, alpha := p.Tensors()
		if got := sha(imaging.ToBytes(images.Index(0).Data)); got != want.image {
			t.Errorf("%s: the picture has the hash %s", name, got)
		}
		if alpha == nil {
			if want.mask != "" {
				t.Errorf("%s: no alpha", name)
			}
			continue
		}
		mask := make([]float32, 0, 3*p.Width*p.Height)
		for _, a := range alpha.Index(0).Data {
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

func TestOpenSixteenBits(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/pictures/gray16_3x2.png")
	if err != nil {
		t.Fatal(err)
	}
	p, err := imaging.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	gray, ok := img.(*image.Gray16)
	if !ok {
		t.Fatalf("the fixture is a %T", img)
	}
	images, _ := p.Tensors()
	for i := range 6 {
		want := float32(gray.Gray16At(i%3, i/3).Y) / 65535
		if got := images.Data[3*i]; got != want {
			t.Errorf("pixel %d: %g, want %g", i, got, want)
		}
	}
}

// TestBytesComeBack: loading and saving a picture must not change it.
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

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/pictures/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := imaging.Open(data[:len(data)/2]); err == nil {
			t.Errorf("%s: half of it was accepted", f)
		}
	}
	for _, text := range []string{"", "hello", "\x89PNG\r\n\x1a\n", "GIF89a", "BM", "RIFF\x00\x00\x00\x00WEBP", "II*\x00"} {
		if _, err := imaging.Open([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestOpenBomb: a picture's announced size must be refused before anything of that size is made.
func TestOpenBomb(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]image.Point{"too many pixels": {X: 60000, Y: 60000}, "huge": {X: 1 << 30, Y: 1 << 30}} {
		head := binary.BigEndian.AppendUint32(nil, uint32(size.X))
		head = binary.BigEndian.AppendUint32(head, uint32(size.Y))
		head = append(head, 8, 2, 0, 0, 0)
		data := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
		data = append(data, head...)
		data = binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(append([]byte("IHDR"), head...)))
		if _, err := imaging.Open(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	files, err := filepath.Glob("testdata/[pu]*/*") // pictures and upstream
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
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := imaging.Open(data)
		if err != nil || len(p.Frames)*p.Width*p.Height > 1<<20 {
			return
		}
		images, alpha := p.Tensors()
		if len(images.Data) != len(p.Frames)*p.Width*p.Height*3 || (alpha != nil) != p.Alpha {
			t.Fatalf("%d values for %d frames of %dx%d", len(images.Data), len(p.Frames), p.Width, p.Height)
		}
	})
}
