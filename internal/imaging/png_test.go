package imaging_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"comfygo/internal/imaging"

	"github.com/google/go-cmp/cmp"
)

func TestWritePNG(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for channels := 1; channels <= 4; channels++ {
		for _, size := range [][2]int{{1, 1}, {7, 5}, {64, 48}, {300, 200}} {
			for _, level := range []int{0, 1, 4} {
				w, h := size[0], size[1]
				pix := make([]byte, w*h*channels)
				for i := range pix {
					pix[i] = byte(i/channels%w + int(rng.UintN(9)))
				}
				var out bytes.Buffer
				if err := imaging.WritePNG(&out, pix, w, h, channels, imaging.PNGOptions{Level: level}); err != nil {
					t.Fatal(err)
				}
				if kind, want := out.Bytes()[25], []byte{0, 4, 2, 6}[channels-1]; kind != want {
					t.Errorf("%d channels: colour type %d, want %d", channels, kind, want)
				}
				img, err := png.Decode(&out)
				if err != nil {
					t.Fatalf("%d channels, %dx%d, level %d: %v", channels, w, h, level, err)
				}
				if got := channelsOf(img, channels); !bytes.Equal(got, pix) {
					t.Errorf("%d channels, %dx%d, level %d: other pixels came back", channels, w, h, level)
				}
			}
		}
	}
}

// channelsOf returns the bytes of a decoded image as WritePNG took them.
func channelsOf(img image.Image, channels int) []byte {
	var out []byte
	b := img.Bounds()
	for y := range b.Dy() {
		for x := range b.Dx() {
			switch img := img.(type) {
			case *image.Gray:
				out = append(out, img.GrayAt(x, y).Y)
			case *image.NRGBA:
				c := img.NRGBAAt(x, y)
				out = append(out, []byte{c.R, c.G, c.B, c.A}[:min(channels, 4)]...)
				if channels == 2 {
					out[len(out)-1] = c.A
				}
			case *image.RGBA:
				c := img.RGBAAt(x, y)
				out = append(out, c.R, c.G, c.B)
			}
		}
	}
	return out
}

func TestWritePNGRefuses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for name, err := range map[string]error{
		"five channels": imaging.WritePNG(&out, make([]byte, 5), 1, 1, 5, imaging.PNGOptions{}),
		"no pixels":     imaging.WritePNG(&out, nil, 0, 0, 3, imaging.PNGOptions{}),
		"wrong length":  imaging.WritePNG(&out, make([]byte, 5), 2, 2, 3, imaging.PNGOptions{}),
		"wrong level":   imaging.WritePNG(&out, make([]byte, 3), 1, 1, 3, imaging.PNGOptions{Level: 99}),
		"empty key":     imaging.WritePNG(&out, make([]byte, 3), 1, 1, 3, imaging.PNGOptions{Text: []imaging.Text{{Key: ""}}}),
		"zero in text":  imaging.WritePNG(&out, make([]byte, 3), 1, 1, 3, imaging.PNGOptions{Text: []imaging.Text{{Key: "a", Value: "\x00"}}}),
		"full disk":     imaging.WritePNG(fullDisk{}, make([]byte, 3), 1, 1, 3, imaging.PNGOptions{}),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestTextComesBack(t *testing.T) {
	t.Parallel()
	texts := []imaging.Text{
		{Key: "prompt", Value: `{"1": {"class_type": "X"}}`},
		{Key: "workflow", Value: strings.Repeat("a long one ", 10000)},
		{Key: "latin", Value: "äöü ÿ"},
		{Key: "wörter", Value: "日本語 🙂"},
		{Key: "empty", Value: ""},
	}
	var out bytes.Buffer
	if err := imaging.WritePNG(&out, make([]byte, 12), 2, 2, 3, imaging.PNGOptions{Level: 4, Text: texts}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out.Bytes(), []byte("tEXtprompt\x00{")) || !bytes.Contains(out.Bytes(), []byte("iTXtw\xf6rter\x00\x00\x00\x00\x00日")) {
		t.Error("the chunks have another form than Pillow's")
	}
	got, err := imaging.ReadText(&out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Error(diff)
	}
}

// withChunk returns a PNG that has one more chunk in front.
func withChunk(t testing.TB, kind string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := imaging.WritePNG(&out, make([]byte, 3), 1, 1, 3, imaging.PNGOptions{}); err != nil {
		t.Fatal(err)
	}
	file := out.Bytes()
	const head = 8 + 25
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	chunk = append(append(chunk, kind...), data...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	return append(append(append([]byte(nil), file[:head]...), chunk...), file[head:]...)
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadText(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 70<<20)
	for name, c := range map[string]struct {
		kind string
		data string
		want string // "" means an error
	}{
		"zTXt":                 {"zTXt", "k\x00\x00" + string(packed(t, []byte("caf\xe9"))), "café"},
		"packed iTXt":          {"iTXt", "k\x00\x01\x00en\x00K\x00" + string(packed(t, []byte("日本"))), "日本"},
		"plain iTXt":           {"iTXt", "k\x00\x00\x00\x00\x00日本", "日本"},
		"iTXt, broken utf-8":   {"iTXt", "k\x00\x00\x00\x00\x00a\xffb", "a\uFFFDb"},
		"no key":               {"tEXt", "\x00value", ""},
		"no zero":              {"tEXt", "value", ""},
		"short zTXt":           {"zTXt", "k\x00", ""},
		"unknown packing":      {"zTXt", "k\x00\x07abc", ""},
		"broken packing":       {"zTXt", "k\x00\x00abc", ""},
		"short iTXt":           {"iTXt", "k\x00\x00", ""},
		"iTXt, no translation": {"iTXt", "k\x00\x00\x00en", ""},
		"bomb":                 {"zTXt", "k\x00\x00" + string(packed(t, long)), ""},
	} {
		texts, err := imaging.ReadText(bytes.NewReader(withChunk(t, c.kind, []byte(c.data))))
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%s: accepted", name)
		case c.want != "" && (err != nil || len(texts) != 1 || texts[0].Value != c.want):
			t.Errorf("%s: got %.50v, %v", name, texts, err)
		}
	}
	if _, err := imaging.ReadText(strings.NewReader("no image")); err == nil {
		t.Error("text was read from something that is no png")
	}
}

func FuzzReadText(f *testing.F) {
	f.Add(withChunk(f, "tEXt", []byte("k\x00v")))
	f.Add(withChunk(f, "zTXt", append([]byte("k\x00\x00"), packed(f, []byte("v"))...)))
	f.Add(withChunk(f, "iTXt", []byte("k\x00\x00\x00\x00\x00v")))
	data, err := os.ReadFile("testdata/pictures/rgba_8x6.png")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		texts, err := imaging.ReadText(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, x := range texts {
			if len(x.Key) == 0 || len(x.Value) > 64<<20 {
				t.Fatalf("key %q with %d bytes", x.Key, len(x.Value))
			}
		}
	})
}
