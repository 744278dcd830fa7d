package image_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/crc32"
	goimage "image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/image"
	"comfygo/tests/nodecalls"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/webp"
)

// saved is an entry of saved.json.gz: a call of a class of ComfyUI and what its file holds. See saved.py.
type saved struct {
	Class                string
	Images               []int
	In                   map[string]any
	Name                 string
	Times                []float64
	Shape                []int
	Pixels, EXIF, File   string
	Chunks               [][2]string
	Format, Depth, Space string
	Text                 string
}

func loadSaved(t *testing.T, name string) []saved {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []saved
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// moving is saved.py's batch: a random image in which a square moves and then stays.
func moving(t *testing.T, shape []int) *tensor.Tensor {
	t.Helper()
	n, h, w, c := shape[0], shape[1], shape[2], shape[3]
	one := nodecalls.Random(1, 0, 1, 1, h, w, c)
	out := tensor.New(n, h, w, c)
	for i := range n {
		f := out.Index(i)
		copy(f.Data, one.Data)
		at := min(i, 2)
		for y := 2 + at; y < 4+at; y++ {
			for x := 3 + 2*at; x < 6+2*at; x++ {
				for k := range c {
					f.Data[(y*w+x)*c+k] = 1
				}
			}
		}
	}
	return out
}

// TestSaved saves what saved.py has saved by upstream's classes and compares the files: names, times, metadata and pixels.
func TestSaved(t *testing.T) {
	t.Parallel()
	for i, e := range append(loadSaved(t, "saved.json.gz"), loadSaved(t, "saved_random.json.gz")...) {
		t.Run(fmt.Sprintf("%d %s", i, e.Class), func(t *testing.T) {
			t.Parallel()
			n := nodeOf(t, e)
			ctx, f := savingContext(t)
			r, err := n.Run(ctx)
			if err != nil {
				t.Fatal(err)
			}
			list, _ := r.UI.Get("images")
			entry := list.([]any)[0].(*pyjson.Object)
			name, _ := entry.Get("filename")
			sub, _ := entry.Get("subfolder")
			if got, want := stripped(name.(string)), stripped(e.Name); got != want {
				t.Errorf("the file is named %s, want %s", got, want)
			}
			data, err := os.ReadFile(filepath.Join(f.Output(), sub.(string), name.(string)))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Class == "SaveSVGNode":
				if diff := cmp.Diff(string(bytesOf(t, e.File)), string(data)); diff != "" {
					t.Error(diff)
				}
			case e.Format == "exr":
				compareEXR(t, data, bytesOf(t, e.File))
			case e.Format == "png":
				compareDeepPNG(t, data, e)
			default:
				compareAnimation(t, r, data, e)
			}
		})
	}
}

// savingContext has saved.py's metadata.
func savingContext(t *testing.T) (*nodes.Context, *folders.Folders) {
	t.Helper()
	ctx, f := newContext(t, true)
	prompt, err := pyjson.UnmarshalObject([]byte(`{"1": {"class_type": "X", "inputs": {"text": "Grüße"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	extra, err := pyjson.UnmarshalObject([]byte(`{"workflow": {"nodes": [1, 2.5, null]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return nodes.NewContext(ctx, nodes.Call{
		ID: "1", Services: nodes.Services{Folders: f, Metadata: true},
		Host: &host{hidden: map[string]any{"PROMPT": prompt, "EXTRA_PNGINFO": extra}},
	}), f
}

// stripped is a name without its number.
func stripped(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, name)
}

func nodeOf(t *testing.T, e saved) nodes.Node {
	t.Helper()
	fps, _ := e.In["fps"].(float64)
	whole := func(k string) int { v, _ := e.In[k].(float64); return int(v) }
	switch e.Class {
	case "SaveAnimatedPNG":
		return &image.SaveAnimatedPNG{Images: moving(t, e.Images), FilenamePrefix: e.Class, FPS: fps, CompressLevel: whole("compress_level")}
	case "SaveAnimatedWEBP":
		lossless, _ := e.In["lossless"].(bool)
		method, _ := e.In["method"].(string)
		images := moving(t, e.Images)
		if !lossless {
			images = nodecalls.Smooth(e.Images, 1)
		}
		return &image.SaveAnimatedWEBP{Images: images, FilenamePrefix: e.Class, FPS: fps, Lossless: lossless, Quality: whole("quality"), Method: method}
	case "SaveImageAdvanced":
		n := &image.SaveImageAdvanced{Images: nodecalls.Random(1, -0.2, 1.2, e.Images...), FilenamePrefix: "adv"}
		n.Format = nodes.Choice{Key: e.Format, Inputs: &image.PNGFormat{BitDepth: e.Depth, InputColorSpace: e.Space}}
		if e.Format == "exr" {
			n.Format.Inputs = &image.EXRFormat{BitDepth: e.Depth, InputColorSpace: e.Space}
		}
		return n
	}
	text := e.Text
	if text == "" {
		text = "<?xml version=\"1.0\"?>\n<svg width=\"4\">ü<svg/></svg>"
	}
	return &image.SaveSVGNode{SVG: image.SVG{[]byte(text)}, FilenamePrefix: "svg/ComfyUI"}
}

// compareAnimation compares frames, exactly where the file is lossless; colors of a lossy one depend on how the decoder
// enlarges them, which a mean difference of 3/255 allows for (1.6 was seen).
func compareAnimation(t *testing.T, r nodes.Result, data []byte, e saved) {
	t.Helper()
	if _, animated := r.UI.Get("animated"); animated != (e.Images[0] > 1) {
		t.Errorf("the client is told of an animation: %v", animated)
	}
	var frames []*goimage.NRGBA
	if strings.HasSuffix(e.Name, ".png") {
		frames = apngFrames(t, data)
		if diff := cmp.Diff(e.Chunks, pngChunks(t, data)); diff != "" {
			t.Error(diff)
		}
	} else {
		var times []float64
		if frames, times = webpFrames(t, data); len(times) > 0 {
			if diff := cmp.Diff(e.Times, times); diff != "" {
				t.Error(diff)
			}
		}
		if !bytes.Contains(data, bytesOf(t, e.EXIF)) {
			t.Error("the metadata differ")
		}
	}
	if len(frames) != e.Shape[0] {
		t.Fatalf("%d frames, want %d", len(frames), e.Shape[0])
	}
	want := bytesOf(t, e.Pixels)
	for i, f := range frames {
		part := want[i*len(f.Pix):][:len(f.Pix)]
		if lossless, ok := e.In["lossless"].(bool); !ok || lossless {
			if !bytes.Equal(f.Pix, part) {
				t.Errorf("the pixels of frame %d differ", i)
			}
			continue
		}
		sum := 0.0
		for k := range part {
			sum += math.Abs(float64(f.Pix[k]) - float64(part[k]))
		}
		if mean := sum / float64(len(part)); mean > 3 {
			t.Errorf("frame %d differs by %v in the mean", i, mean)
		}
	}
}

// placed draws a frame's part over the one before.
func placed(t *testing.T, frames []*goimage.NRGBA, bounds goimage.Rectangle, part goimage.Image, x, y int) []*goimage.NRGBA {
	t.Helper()
	next := goimage.NewNRGBA(bounds)
	if len(frames) > 0 {
		copy(next.Pix, frames[len(frames)-1].Pix)
	}
	b := part.Bounds()
	draw.Draw(next, b.Sub(b.Min).Add(goimage.Pt(x, y)), part, b.Min, draw.Src)
	return append(frames, next)
}

// webpFrames decodes the frames of a file one by one, as still images.
func webpFrames(t *testing.T, data []byte) (frames []*goimage.NRGBA, times []float64) {
	t.Helper()
	still := func(chunks []byte) goimage.Image {
		if string(chunks[:4]) == "VP8X" {
			chunks = chunks[18:]
		}
		file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunks))) //nolint:gosec // small
		m, err := webp.Decode(bytes.NewReader(append(append(file, "WEBP"...), chunks...)))
		if err != nil {
			t.Fatal(err)
		}
		if y, ok := m.(*goimage.YCbCr); ok {
			return studioRange(y)
		}
		return m
	}
	if !bytes.Contains(data, []byte("ANIM")) {
		m := still(data[12:])
		return placed(t, nil, m.Bounds(), m, 0, 0), nil
	}
	word := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	bounds := goimage.Rect(0, 0, word(data[24:])+1, word(data[27:])+1)
	for at := 12; at+8 <= len(data); {
		size := int(binary.LittleEndian.Uint32(data[at+4:]))
		if string(data[at:at+4]) == "ANMF" {
			d := data[at+8 : at+8+size]
			frames = placed(t, frames, bounds, still(d[16:]), 2*word(d), 2*word(d[3:]))
			times = append(times, float64(word(d[12:])))
		}
		at += 8 + size + size%2
	}
	return frames, times
}

// studioRange converts colors as WebP means them, with luma of 16 to 235; the decoder takes them for JPEG's.
func studioRange(m *goimage.YCbCr) goimage.Image {
	out := goimage.NewNRGBA(m.Bounds())
	clip := func(v float64) uint8 { return uint8(min(max(v, 0), 255)) }
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			c := m.YCbCrAt(x, y)
			l, u, v := 1.164*(float64(c.Y)-16), float64(c.Cb)-128, float64(c.Cr)-128
			out.SetNRGBA(x, y, color.NRGBA{clip(l + 1.596*v), clip(l - 0.391*u - 0.813*v), clip(l + 2.018*u), 255})
		}
	}
	return out
}

// apngFrames decodes the frames of a file one by one, as still images.
func apngFrames(t *testing.T, data []byte) []*goimage.NRGBA {
	t.Helper()
	var frames []*goimage.NRGBA
	var head, control, pixels []byte
	chunk := func(kind string, d []byte) []byte {
		out := append(binary.BigEndian.AppendUint32(nil, uint32(len(d))), kind...) //nolint:gosec // small
		out = append(out, d...)
		return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
	}
	flush := func() {
		if pixels == nil {
			return
		}
		h, at := bytes.Clone(head), make([]byte, 8)
		if control != nil {
			copy(h, control[4:12])
			copy(at, control[12:20])
		}
		file := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", h)...)
		m, err := png.Decode(bytes.NewReader(append(append(file, chunk("IDAT", pixels)...), chunk("IEND", nil)...)))
		if err != nil {
			t.Fatal(err)
		}
		bounds := goimage.Rect(0, 0, int(binary.BigEndian.Uint32(head)), int(binary.BigEndian.Uint32(head[4:])))
		frames = placed(t, frames, bounds, m, int(binary.BigEndian.Uint32(at)), int(binary.BigEndian.Uint32(at[4:])))
		pixels = nil
	}
	for at := 8; at < len(data); {
		size, kind := int(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		d := data[at+8 : at+8+size]
		switch kind {
		case "IHDR":
			head = d
		case "fcTL":
			flush()
			control = d
		case "IDAT":
			pixels = append(pixels, d...)
		case "fdAT":
			pixels = append(pixels, d[4:]...)
		}
		at += 12 + size
	}
	flush()
	return frames
}

// pngChunks lists what saved.py does: all chunks but the pixels.
func pngChunks(t *testing.T, data []byte) [][2]string {
	t.Helper()
	var out [][2]string
	for at := 8; at < len(data); {
		size, kind := int(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if kind != "IDAT" && kind != "fdAT" {
			out = append(out, [2]string{kind, base64.StdEncoding.EncodeToString(data[at+8 : at+8+size])})
		}
		at += 12 + size
	}
	return numbered(t, out)
}

// numbered renumbers the frames: how many chunks the pixels of a frame take is up to the writer.
func numbered(t *testing.T, chunks [][2]string) [][2]string {
	t.Helper()
	next := uint32(0)
	for i, c := range chunks {
		if c[0] != "fcTL" {
			continue
		}
		b := bytesOf(t, c[1])
		binary.BigEndian.PutUint32(b, next)
		chunks[i][1] = base64.StdEncoding.EncodeToString(b)
		if next == 0 {
			next = 1
		} else {
			next += 2
		}
	}
	return chunks
}

func compareDeepPNG(t *testing.T, data []byte, e saved) {
	t.Helper()
	got := slices.DeleteFunc(pngChunks(t, data), func(c [2]string) bool { return !slices.Contains([]string{"IHDR", "tEXt", "iTXt"}, c[0]) })
	if diff := cmp.Diff(e.Chunks, got); diff != "" {
		t.Error(diff)
	}
	want := bytesOf(t, e.Pixels)
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var pix []byte
	swap := func(pix []byte) []byte { // the samples of saved.py have the lower byte first
		for i := 0; i < len(pix); i += 2 {
			pix[i], pix[i+1] = pix[i+1], pix[i]
		}
		return pix
	}
	switch m := m.(type) {
	case *goimage.Gray:
		pix = m.Pix
	case *goimage.Gray16:
		pix = swap(m.Pix)
	case *goimage.NRGBA:
		pix = m.Pix
	case *goimage.NRGBA64:
		pix = swap(m.Pix)
	case *goimage.RGBA:
		pix = withoutAlpha(m.Pix, 1)
	case *goimage.RGBA64:
		pix = withoutAlpha(swap(m.Pix), 2)
	}
	if !bytes.Equal(pix, want) {
		t.Errorf("the pixels of %T differ", m)
	}
}

// withoutAlpha leaves out every fourth sample.
func withoutAlpha(pix []byte, size int) []byte {
	var out []byte
	for i := 0; i < len(pix); i += 4 * size {
		out = append(out, pix[i:i+3*size]...)
	}
	return out
}

// exrFile reads the attributes and the samples of an uncompressed file.
func exrFile(t *testing.T, data []byte) (attributes map[string]string, samples []float32) {
	t.Helper()
	attributes = map[string]string{}
	rest := data[8:]
	for rest[0] != 0 {
		name, after, _ := bytes.Cut(rest, []byte{0})
		kind, after, _ := bytes.Cut(after, []byte{0})
		size := binary.LittleEndian.Uint32(after)
		attributes[string(name)] = string(kind) + ":" + string(after[4:4+size])
		rest = after[4+size:]
	}
	_, box, _ := strings.Cut(attributes["dataWindow"], ":")
	height := int(binary.LittleEndian.Uint32([]byte(box)[12:])) + 1
	table := rest[1:]
	for y := range height {
		line := data[binary.LittleEndian.Uint64(table[8*y:]):]
		if got := binary.LittleEndian.Uint32(line); got != uint32(y) { //nolint:gosec // small
			t.Fatalf("line %d is numbered %d", y, got)
		}
		for i := 8; i < 8+int(binary.LittleEndian.Uint32(line[4:])); i += 4 {
			samples = append(samples, math.Float32frombits(binary.LittleEndian.Uint32(line[i:])))
		}
	}
	return attributes, samples
}

// compareEXR allows a millionth of a value: torch computes powers in float32.
func compareEXR(t *testing.T, got, want []byte) {
	t.Helper()
	ga, gs := exrFile(t, got)
	wa, ws := exrFile(t, want)
	for _, name := range []string{"writer", "framesPerSecond", "gamma"} { // FFmpeg's own, which say nothing
		delete(wa, name)
	}
	delete(ga, "pixelAspectRatio") // the format asks for it, FFmpeg leaves it out
	if diff := cmp.Diff(wa, ga); diff != "" {
		t.Error(diff)
	}
	if len(gs) != len(ws) {
		t.Fatalf("%d samples, want %d", len(gs), len(ws))
	}
	for i := range ws {
		if d := math.Abs(float64(gs[i] - ws[i])); d > 1e-6*max(1, math.Abs(float64(ws[i]))) {
			t.Errorf("sample %d is %v, want %v", i, gs[i], ws[i])
		}
	}
}

// TestSavedBad saves what cannot be saved.
func TestSavedBad(t *testing.T) {
	t.Parallel()
	nan := tensor.New(2, 1, 1, 3)
	for i := range nan.Data {
		nan.Data[i] = float32(math.NaN())
	}
	exr := nodes.Choice{Key: "exr", Inputs: &image.EXRFormat{InputColorSpace: "HDR"}}
	deep := nodes.Choice{Key: "png", Inputs: &image.PNGFormat{BitDepth: "16-bit"}}
	for name, c := range map[string]struct {
		node nodes.Node
		want string // part of the error; "" for none
	}{
		"webp empty":       {&image.SaveAnimatedWEBP{Images: tensor.New(0, 4, 4, 3), FPS: 6, Method: "default"}, "empty batch"},
		"webp none":        {&image.SaveAnimatedWEBP{FPS: 6, Method: "default"}, "empty batch"},
		"webp no height":   {&image.SaveAnimatedWEBP{Images: tensor.New(1, 0, 4, 3), FPS: 6, Method: "default"}, "4x0"},
		"webp wide":        {&image.SaveAnimatedWEBP{Images: tensor.New(1, 1, 16384, 3), FPS: 6, Method: "fastest"}, "16383"},
		"webp nan":         {&image.SaveAnimatedWEBP{Images: nan, FPS: 6, Method: "default"}, ""},
		"webp gray":        {&image.SaveAnimatedWEBP{Images: tensor.New(2, 3, 4), FPS: 6, Method: "default"}, ""},
		"webp five":        {&image.SaveAnimatedWEBP{Images: tensor.New(1, 2, 2, 5), FPS: 6, Method: "default"}, "5 channels"},
		"webp fps 0":       {&image.SaveAnimatedWEBP{Images: tensor.New(2, 2, 2, 3), FPS: 0, Method: "default"}, "fps"},
		"webp fps nan":     {&image.SaveAnimatedWEBP{Images: tensor.New(2, 2, 2, 3), FPS: math.NaN(), Method: "default"}, "fps"},
		"png empty":        {&image.SaveAnimatedPNG{Images: tensor.New(0, 4, 4, 3), FPS: 6}, "empty batch"},
		"png nan":          {&image.SaveAnimatedPNG{Images: nan, FPS: 6}, ""},
		"png slow":         {&image.SaveAnimatedPNG{Images: moving(t, []int{3, 9, 12, 3}), FPS: 0.01}, ""},
		"png level":        {&image.SaveAnimatedPNG{Images: nan, FPS: 6, CompressLevel: 10}, "level 10"},
		"outside":          {&image.SaveAnimatedPNG{Images: nan, FPS: 6, FilenamePrefix: "../x"}, "outside"},
		"advanced empty":   {&image.SaveImageAdvanced{Images: tensor.New(0, 4, 4, 3), Format: deep}, "empty batch"},
		"advanced two":     {&image.SaveImageAdvanced{Images: tensor.New(1, 4, 4, 2), Format: exr}, "2 channels"},
		"advanced nan":     {&image.SaveImageAdvanced{Images: nan, Format: exr}, ""},
		"advanced nan png": {&image.SaveImageAdvanced{Images: nan, Format: deep}, ""},
		"advanced no side": {&image.SaveImageAdvanced{Images: tensor.New(1, 4, 0, 3), Format: exr}, "0x4"},
		"svg latin":        {&image.SaveSVGNode{SVG: image.SVG{{0xff}}}, "UTF-8"},
		"svg none":         {&image.SaveSVGNode{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, f := savingContext(t)
			_, err := c.node.Run(ctx)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want one about %q", err, c.want)
			}
			left, globErr := filepath.Glob(filepath.Join(f.Output(), "*"))
			if globErr != nil || c.want != "" && len(left) != 0 {
				t.Errorf("files were left: %v %v", left, globErr)
			}
		})
	}
}

// TestSaveSVGEscapes keeps metadata from ending the section that holds it.
func TestSaveSVGEscapes(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	extra := pyjson.NewObject("workflow", "]]><script/>")
	ctx = nodes.NewContext(ctx, nodes.Call{
		ID: "1", Services: nodes.Services{Folders: f, Metadata: true}, Host: &host{hidden: map[string]any{"EXTRA_PNGINFO": extra}},
	})
	if _, err := (&image.SaveSVGNode{SVG: image.SVG{[]byte("<svg></svg>")}, FilenamePrefix: "x"}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(f.Output(), "x_00001_.svg"))
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
			t.Fatal("the metadata made an element")
		}
	}
}
