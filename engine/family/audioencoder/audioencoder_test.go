package audioencoder_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/audioencoder"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// tolerance is ten times torch's own error in float32, about 1e-6.
var tolerance = golden.Tolerance{RMSRel: 1e-5}

// melTolerance allows for torch's Fourier transform in float32, whose error shows in quiet bands.
var melTolerance = golden.Tolerance{RMSRel: 1e-5}

// sound is two waveforms of two channels, scaled by what scale gives for a sample.
func sound(scale func(i int) float32) *tensor.Tensor {
	x := golden.Normal("audio/sound", 2, 2, 9000)
	for i := range x.Data {
		x.Data[i] *= scale(i % 9000)
	}
	return x
}

func open(t *testing.T, src weights.Source) family.AudioEncoder {
	t.Helper()
	e, err := family.Open(family.Default, src).Audio()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestEqualsUpstream compares the hidden states of all layers.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	quiet := func(int) float32 { return 0.3 }
	rising := func(i int) float32 { return float32(i) / 8999 }
	for name, c := range map[string]struct {
		scale func(i int) float32
		shape []int
	}{
		"base": {quiet, []int{2, 27, 128}}, "large": {quiet, []int{2, 27, 128}}, "whisper": {rising, []int{2, 1500, 64}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, src := familytest.Recorded(t, "testdata/"+name, "audio")
			e := open(t, src)
			out, err := e.Encode(t.Context(), familytest.Runner{}, sound(c.scale))
			if err != nil {
				t.Fatal(err)
			}
			if out.Samples != 9000 || out.Rate != 16000 || e.Rate() != 16000 || len(out.Layers) != 3 || out.Layers[2] != out.Last {
				t.Errorf("%d samples at %d Hz, %d layers", out.Samples, out.Rate, len(out.Layers))
			}
			familytest.CompareSome(t, stored, "last", out.Last, c.shape, tolerance)
			for i, l := range out.Layers {
				familytest.CompareSome(t, stored, fmt.Sprintf("layer%d", i), l, c.shape, tolerance)
			}
			familytest.CheckKernels(t, src, 1)
			if name == "whisper" {
				return
			}
			if _, err := e.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 1, 399)); err == nil || !strings.Contains(err.Error(), "at least 400") {
				t.Errorf("too little audio: %v", err)
			}
		})
	}
}

func TestLogMelEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/whisper", "audio")
	x := sound(func(i int) float32 { return float32(i) / 8999 / 2 })
	both := tensor.New(2, 9000)
	for i, v := range x.Data {
		both.Data[i/18000*9000+i%9000] += v
	}
	mel, err := audioencoder.LogMel(t.Context(), both)
	if err != nil {
		t.Fatal(err)
	}
	familytest.CompareSome(t, stored, "mel", mel, []int{2, 128, 3000}, melTolerance)
}

// TestErrors checks files and audio that cannot be read.
func TestErrors(t *testing.T) {
	t.Parallel()
	const head = "encoder.layer_norm.bias 768\nencoder.layers.0.feed_forward.intermediate_dense.weight 3072 768\nfeature_extractor.conv_layers.0.conv.weight 512 1 10\n"
	for says, file := range map[string]string{
		"wanted Wav2Vec2 base":   strings.ReplaceAll(head, "768", "1024"),
		"128 mel bands":          "model.encoder.embed_positions.weight 1500 1280\nmodel.encoder.conv1.weight 1280 80 3\nmodel.encoder.layers.0.fc1.weight 5120 1280\n",
		"holds no audio encoder": "encoder.layers.0.fc1.weight 5120 1280\n",
	} {
		if e, err := family.Open(family.Default, dryrun.List(file)).Audio(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, %v; want an error that says %q", e, err, says)
		}
	}
	_, src := familytest.Recorded(t, "testdata/whisper", "audio")
	e := open(t, src)
	infinite := tensor.New(1, 1, 500)
	infinite.Data[3] /= infinite.Data[4]
	for says, x := range map[string]*tensor.Tensor{"wanted batch": tensor.New(1, 500), "finite": infinite} {
		if _, err := e.Encode(t.Context(), familytest.Runner{}, x); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
	if d := family.Open(family.Default, src).Describe(); !d.Runs || !d.Holds("audio encoder") {
		t.Errorf("%v", d)
	}
}
