package image_test

import (
	"bytes"
	"context"
	"errors"
	goimage "image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/image"
	"comfygo/tests/golden"

	"github.com/google/go-cmp/cmp"
)

// host gives nodes the hidden inputs of a run.
type host struct {
	nodes.Host
	hidden map[string]any
	state  any
}

func (h *host) Hidden(kind string) any { return h.hidden[kind] }

func (h *host) SendText(string) {}

func (h *host) Progress(float64, float64, *nodes.Preview) {}

func (h *host) State(make func() any) any {
	if h.state == nil {
		h.state = make()
	}
	return h.state
}

func newContext(t *testing.T, metadata bool) (*nodes.Context, *folders.Folders) {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.RemoveTemp() })
	prompt, err := pyjson.UnmarshalObject([]byte(`{"9": {"inputs": {"text": "ä🙂", "b": 1.0, "a": [1, 2]}, "class_type": "X"}}`))
	if err != nil {
		t.Fatal(err)
	}
	extra, err := pyjson.UnmarshalObject([]byte(`{"workflow": {"nodes": []}, "other": "text", "日本": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	return nodes.NewContext(t.Context(), nodes.Call{
		ID: "1", Services: nodes.Services{Folders: f, Metadata: metadata},
		Host: &host{hidden: map[string]any{"PROMPT": prompt, "EXTRA_PNGINFO": extra}},
	}), f
}

func uiFiles(t *testing.T, r nodes.Result) []string {
	t.Helper()
	list, ok := r.UI.Get("images")
	if !ok {
		t.Fatal("nothing for the client")
	}
	var out []string
	for _, e := range list.([]any) {
		text, err := pyjson.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

func TestSaveImage(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	img := golden.Image("save", 2, 6, 8, 3)
	n := &image.SaveImage{Images: img, Prefix: "sub/pic_%width%x%height%_%batch_num%"}
	r, err := n.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"filename": "pic_8x6_0_00001_.png", "subfolder": "sub", "type": "output"}`,
		`{"filename": "pic_8x6_1_00002_.png", "subfolder": "sub", "type": "output"}`,
	}
	if diff := cmp.Diff(want, uiFiles(t, r)); diff != "" {
		t.Error(diff)
	}
	if r.Values[0] != img {
		t.Error("the images are not passed on")
	}
	data, err := os.ReadFile(filepath.Join(f.Output(), "sub/pic_8x6_1_00002_.png"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := imaging.Load(t.Context(), data, codec.DefaultLimits, nil)
	if err != nil {
		t.Fatal(err)
	}
	saved, alpha := l.Images, l.Alpha
	if alpha != nil || !bytes.Equal(imaging.ToBytes(saved.Data), imaging.ToBytes(img.Index(1).Data)) {
		t.Error("other pixels were saved")
	}
	text, err := imaging.ReadText(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]imaging.Text{ // the name 日本 cannot stand in a PNG
		{Key: "prompt", Value: `{"9": {"inputs": {"text": "\u00e4\ud83d\ude42", "b": 1.0, "a": [1, 2]}, "class_type": "X"}}`},
		{Key: "workflow", Value: `{"nodes": []}`},
		{Key: "other", Value: `"text"`},
	}, text); diff != "" {
		t.Error(diff)
	}
	again, err := (&image.SaveImage{Images: img.Slice(0, 1), Prefix: "sub/pic_8x6_0"}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := uiFiles(t, again)[0]; !strings.Contains(got, "pic_8x6_0_00002_.png") {
		t.Errorf("the second file is %s", got)
	}
}

func TestSaveImageWithoutMetadata(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, false)
	if _, err := (&image.SaveImage{Images: tensor.New(1, 2, 2, 3), Prefix: "ComfyUI"}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(f.Output(), "ComfyUI_00001_.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := imaging.ReadText(file)
	if err != nil || len(text) != 0 {
		t.Errorf("the image carries %v, %v", text, err)
	}
}

// A mask comes here through nodes that pass anything on, and is saved in gray.
func TestSaveMask(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, false)
	mask := tensor.New(2, 3, 4)
	mask.Data[12+5] = 1
	if _, err := (&image.SaveImage{Images: mask, Prefix: "%width%x%height%"}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(f.Output(), "4x3_00002_.png"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	gray, ok := img.(*goimage.Gray)
	if !ok || !bytes.Equal(gray.Pix, imaging.ToBytes(mask.Index(1).Data)) {
		t.Errorf("the file holds a %T of %v", img, img.Bounds())
	}
}

func TestSaveImageErrors(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	if err := os.MkdirAll(f.Output(), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*image.SaveImage{
		"no image":     {Prefix: "x"},
		"empty batch":  {Images: tensor.New(0, 2, 2, 3), Prefix: "x"},
		"vector":       {Images: tensor.New(2), Prefix: "x"},
		"outside":      {Images: tensor.New(1, 2, 2, 3), Prefix: "../x"},
		"six channels": {Images: tensor.New(1, 2, 2, 6), Prefix: "x"},
	} {
		if _, err := n.Run(ctx); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
	cancelled, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	c := nodes.TestContext(cancelled, ctx.Services)
	if _, err := (&image.SaveImage{Images: tensor.New(1, 2, 2, 3), Prefix: "x"}).Run(c); !errors.Is(err, stop) {
		t.Errorf("an interrupted node gives %v", err)
	}
	if left, err := os.ReadDir(f.Output()); err != nil || len(left) != 0 {
		t.Errorf("the output folder holds %v, %v", left, err)
	}
}

func TestPreviewImage(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	form := regexp.MustCompile(`^{"filename": "ComfyUI_temp_[a-z]{5}_0000([12])_\.png", "subfolder": "", "type": "temp"}$`)
	prefix := ""
	for i := range 2 {
		r, err := (&image.PreviewImage{Images: tensor.New(1, 2, 2, 4)}).Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got := uiFiles(t, r)[0]
		if m := form.FindStringSubmatch(got); m == nil || m[1] != string(rune('1'+i)) {
			t.Errorf("run %d: %s", i, got)
		}
		if i == 1 && !strings.HasPrefix(got, prefix) {
			t.Errorf("the node changed its letters: %s", got)
		}
		prefix = got[:33]
	}
	if files, err := os.ReadDir(f.Temp()); err != nil || len(files) != 2 {
		t.Errorf("temp holds %v, %v", files, err)
	}
}

func TestLoadImage(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	pix := []byte{255, 0, 51, 255, 0, 102, 204, 0}
	var file bytes.Buffer
	if err := imaging.WritePNG(&file, pix, 2, 1, 4, imaging.PNGOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{f.Input(), f.Output()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "a.png"), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := (&image.LoadImage{Image: "a.png"}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	img, mask := r.Values[0].(*tensor.Tensor), r.Values[1].(*tensor.Tensor)
	if diff := cmp.Diff(&tensor.Tensor{Shape: []int{1, 1, 2, 3}, Data: []float32{1, 0, 0.2, 0, 0.4, 0.8}}, img); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&tensor.Tensor{Shape: []int{1, 1, 2}, Data: []float32{0, 1}}, mask); diff != "" {
		t.Error(diff)
	}
	for channel, want := range map[string][]float32{"red": {1, 0}, "green": {0, 0.4}, "blue": {0.2, 0.8}, "alpha": {0, 1}} {
		r, err := (&image.LoadImageMask{Image: "a.png [output]", Channel: channel}).Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&tensor.Tensor{Shape: []int{1, 1, 2}, Data: want}, r.Values[0].(*tensor.Tensor)); diff != "" {
			t.Errorf("%s: %s", channel, diff)
		}
	}
}

func TestLoadImageChecksItsFile(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	if err := os.WriteFile(filepath.Join(f.Input(), "corrupt.png"), []byte("\x89PNG\r\n\x1a\nno image"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"missing.png", "../../etc/passwd"} {
		err := (&image.LoadImage{Image: name}).ValidateInputs(ctx)
		if reason, ok := nodes.Verdict(err); !ok || reason != "Invalid image file: "+name {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := (&image.LoadImage{Image: name}).Run(ctx); nodes.ExceptionType(err) != "OSError" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (&image.LoadImage{Image: "corrupt.png"}).ValidateInputs(ctx); err != nil {
		t.Error(err)
	}
	_, err := (&image.LoadImage{Image: "corrupt.png"}).Run(ctx)
	if nodes.ExceptionType(err) != "OSError" || !strings.Contains(err.Error(), "corrupt.png") {
		t.Errorf("%s: %v", nodes.ExceptionType(err), err)
	}
	if err := os.WriteFile(filepath.Join(f.Input(), "words.png"), []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (&image.LoadImage{Image: "words.png"}).Run(ctx); nodes.ExceptionType(err) != "PIL.UnidentifiedImageError" {
		t.Errorf("%s: %v", nodes.ExceptionType(err), err)
	}
	wave := append([]byte("RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x08\x00\x00\x00"), make([]byte, 8)...)
	if err := os.WriteFile(filepath.Join(f.Input(), "tone.wav"), wave, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (&image.LoadImage{Image: "tone.wav"}).Run(ctx); nodes.ExceptionType(err) != "ValueError" || !strings.Contains(err.Error(), "No video stream found in file 'tone.wav'") {
		t.Errorf("a WAV file: %s: %v", nodes.ExceptionType(err), err)
	}
	for _, n := range []nodes.Validator{&image.LoadImage{}, &image.LoadImageMask{Image: int64(3)}, &image.LoadImageOutput{Image: []any{}}} {
		if err := n.ValidateInputs(ctx); nodes.ExceptionType(err) != "AttributeError" {
			t.Errorf("%T takes a value that is no name: %v", n, err)
		}
	}
	first, err := (&image.LoadImage{Image: "corrupt.png"}).Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.Input(), "corrupt.png"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := (&image.LoadImageOutput{Image: "corrupt.png"}).Fingerprint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if first == second || second != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("fingerprints %v and %v", first, second)
	}
}

// TestNothingGiven runs every class with no inputs at all, as links without values leave it: errors are fine, panics
// are not.
func TestNothingGiven(t *testing.T) {
	t.Parallel()
	ctx, _ := newContext(t, true)
	nodes.Default().Walk(func(c *nodes.Class) bool {
		err := nodes.Protect(func() error {
			_, err := c.New().Run(ctx)
			return err
		})
		var p *nodes.PanicError
		if errors.As(err, &p) {
			t.Errorf("%s: %v\n%s", c.Name, p, p.Stack)
		}
		return true
	})
}

// TestOddNumbers gives every class numbers that no widget would send but links can.
func TestOddNumbers(t *testing.T) {
	t.Parallel()
	ctx, _ := newContext(t, true)
	for _, number := range []int{-1, 0, 1, 5, -70000} {
		nodes.Default().Walk(func(c *nodes.Class) bool {
			inputs := pyjson.NewObject()
			for _, in := range c.Inputs() {
				switch in.Type {
				case "IMAGE":
					inputs.Set(in.Name, golden.Image("odd", 2, 5, 4, 3))
				case "MASK":
					inputs.Set(in.Name, tensor.New(1, 3, 4))
				case "LATENT":
					inputs.Set(in.Name, engine.Latent{Samples: tensor.New(2, 4, 3, 5), NoiseMask: tensor.New(2, 1, 3, 5)})
				case "INT":
					inputs.Set(in.Name, number)
				case "FLOAT":
					inputs.Set(in.Name, float64(number))
				}
			}
			node, err := c.Bind(inputs, nil)
			if err != nil {
				return true // such as a negative seed
			}
			err = nodes.Protect(func() error {
				_, err := node.Run(ctx)
				return err
			})
			var p *nodes.PanicError
			if errors.As(err, &p) {
				t.Errorf("%s with %d: %v\n%s", c.Name, number, p, p.Stack)
			}
			return true
		})
	}
}

func TestTooBigForMemory(t *testing.T) {
	t.Parallel()
	_, err := (&image.EmptyImage{Width: 16384, Height: 16384, Batch: 4096}).Run(nil)
	var size *imaging.SizeError
	if !errors.As(err, &size) || nodes.ExceptionType(err) != "MemoryError" {
		t.Errorf("got %v", err)
	}
}
