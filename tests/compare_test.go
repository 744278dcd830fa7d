package tests_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"testing"

	"comfygo/tests/golden"
)

// Images may differ from ComfyUI's by one in one byte of a thousand, and by three anywhere: the
// last rounding to 8 bit turns on differences far below what can be seen.
const (
	mayDiffer  = 0.001
	mostDiffer = 3
)

// latentTolerance bounds the rms difference over the rms of the reference: twenty times what
// ComfyUI's own fp32 run differs from an fp64 one.
var latentTolerance = golden.Tolerance{RMSRel: 5e-5}

// comparePNG compares an image with the golden file, byte by byte of its colours.
func comparePNG(t *testing.T, what string, got []byte, wantPath string) {
	t.Helper()
	want, err := os.ReadFile(wantPath)
	if err != nil {
		t.Fatal(err)
	}
	a, b := decodeRGB(t, got), decodeRGB(t, want)
	if a.Bounds() != b.Bounds() {
		t.Errorf("%s: size %v, want %v", what, a.Bounds(), b.Bounds())
		return
	}
	over, most := 0, 0
	for i := range a.Pix {
		d := int(a.Pix[i]) - int(b.Pix[i])
		if d = max(d, -d); d > 1 {
			over++
		}
		most = max(most, d)
	}
	if share := float64(over) / float64(len(a.Pix)); share > mayDiffer || most > mostDiffer {
		t.Errorf("%s: greatest difference %d, %.4f %% of the bytes differ by more than 1", what, most, 100*share)
	}
}

func decodeRGB(t *testing.T, data []byte) *image.NRGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	for y := range b.Dy() {
		for x := range b.Dx() {
			out.Set(x, y, color.NRGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)))
		}
	}
	return out
}

// compareLatent compares the tensor of a saved latent with a golden one.
func compareLatent(t *testing.T, what string, file []byte, want []float32, tolerance golden.Tolerance) {
	t.Helper()
	got, err := savedLatent(file)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	golden.Compare(t, what, got, want, tolerance)
}

// savedLatent reads the tensor of a .latent file, which is a safetensors file.
func savedLatent(file []byte) ([]float32, error) {
	if len(file) < 8 {
		return nil, fmt.Errorf("a latent file of %d bytes", len(file))
	}
	size := binary.LittleEndian.Uint64(file)
	if size > uint64(len(file)-8) {
		return nil, fmt.Errorf("a header of %d bytes in a file of %d", size, len(file))
	}
	var header struct {
		Tensor struct {
			DType   string   `json:"dtype"`
			Offsets []uint64 `json:"data_offsets"`
		} `json:"latent_tensor"`
	}
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	entry, data := header.Tensor, file[8+size:]
	if entry.DType != "F32" || len(entry.Offsets) != 2 || entry.Offsets[0] > entry.Offsets[1] || entry.Offsets[1] > uint64(len(data)) {
		return nil, fmt.Errorf("no usable latent_tensor: %+v", entry)
	}
	data = data[entry.Offsets[0]:entry.Offsets[1]]
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out, nil
}
