package engine_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// halves writes the two halves of the TAESD in a file as separate files, as they are published.
func halves(t *testing.T, path string) (encoder, decoder string) {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dir := t.TempDir()
	write := func(half string) string {
		var tensors []safetensors.Tensor
		for _, name := range src.Names() {
			if rest, ok := strings.CutPrefix(name, "taesd_"+half+"."); ok {
				e, _ := src.Lookup(name)
				tensors = append(tensors, safetensors.Tensor{Name: rest, DType: e.DType, Shape: e.Shape, Data: e.Data})
			}
		}
		out := filepath.Join(dir, "taesd_"+half+".safetensors")
		if err := safetensors.Save(out, nil, tensors); err != nil {
			t.Fatal(err)
		}
		return out
	}
	return write("encoder"), write("decoder")
}

func TestTinyVAEInTwoFiles(t *testing.T) {
	t.Parallel()
	path := golden.Checkpoint(t, "taesd")
	encoder, decoder := halves(t, path)
	whole, err := shared.LoadVAE(path)
	if err != nil {
		t.Fatal(err)
	}
	split, err := shared.LoadApproximateVAE("taesd", encoder, decoder)
	if err != nil {
		t.Fatal(err)
	}
	img := golden.Image("tiny", 1, 32, 40, 3)
	want, err := whole.Encode(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := split.Encode(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Data, want.Data) {
		t.Error("the encoder in its own file gives another latent")
	}
	if want, err = whole.Decode(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if got, err = split.Decode(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Data, want.Data) {
		t.Error("the decoder in its own file gives another image")
	}
}

func TestTinyVAEOfTheWrongHalf(t *testing.T) {
	t.Parallel()
	encoder, decoder := halves(t, golden.Checkpoint(t, "taesd"))
	if _, err := shared.LoadApproximateVAE("taesd", decoder, encoder); err == nil {
		t.Error("halves the wrong way round were accepted")
	}
	if _, err := shared.LoadVAE(decoder); err == nil || !strings.Contains(err.Error(), "half of an approximate VAE") {
		t.Errorf("half a TAESD as a whole VAE: %v", err)
	}
	if _, err := shared.LoadPreviewDecoder(decoder, 16); err == nil {
		t.Error("a decoder of other channels was accepted")
	}
	d, err := shared.LoadPreviewDecoder(decoder, 4)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Encode(t.Context(), golden.Image("tiny", 1, 16, 16, 3)); err == nil {
		t.Error("a decoder encoded an image")
	}
}
