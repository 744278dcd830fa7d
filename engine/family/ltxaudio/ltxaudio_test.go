package ltxaudio_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxaudio"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

func open(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// positive shows mel bands with positive weights, as those of real files.
type positive struct{ weights.Source }

func (p positive) Lookup(name string) (weights.Entry, bool) {
	e, ok := p.Source.Lookup(name)
	if !ok || !strings.HasSuffix(name, "mel_basis") {
		return e, ok
	}
	return weights.Compute(name, e.Shape, weights.Computation{Op: "abs", Parts: []weights.Entry{e}, Read: func(dst []float32, at int) error {
		err := weights.Range(dst, e, at)
		for i, v := range dst {
			dst[i] = max(v, -v)
		}
		return err
	}}), true
}

// TestEqualsUpstream compares sounds and latents, made at once and in small pieces. Torch's own error in float32 is about 1e-6 without the
// bandwidth extension, whose logarithms of small magnitudes make more of it.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for form, c := range map[string]struct {
		lengths   []int
		rate      int
		tolerance float64
	}{
		"plain": {[]int{1, 48}, 16000, 1e-5}, "alias": {[]int{1, 3}, 16000, 1e-5}, "group": {[]int{1, 3}, 16000, 1e-5}, "wider": {[]int{1, 48}, 48000, 1e-5},
	} {
		stored, src := familytest.Recorded(t, "testdata/"+form, form)
		v := open(t, positive{src})
		i := v.Info()
		if i.Channels != 8 || i.Audio == nil || i.Audio.OutputRate != c.rate || i.Audio.Bins != 16 || i.Audio.PerSecond != 25 || i.Audio.Hop != 4096 || !i.CanEncode {
			t.Errorf("%s: %+v, %+v", form, i, i.Audio)
		}
		for _, small := range []bool{false, true} {
			if small && len(c.lengths) > 1 && c.lengths[1] < 10 {
				continue // the pieces would be the whole
			}
			if small {
				ltxaudio.Pieces(v, 20, 150)
			}
			for _, n := range c.lengths {
				y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("%s/z%d", form, n), 1, 8, n, 16))
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				frames := 4*n - 3
				if form == "group" {
					frames = 4 * n
				}
				familytest.CompareSome(t, stored, fmt.Sprintf("decode%d", n), y, []int{1, 2, frames * 160 * c.rate / 16000}, golden.Tolerance{RMSRel: c.tolerance})
			}
			z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(form+"/audio", 1, 2, 86016))
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			const values = 49
			familytest.CompareSome(t, stored, "encode", z, []int{1, 8, values, 16}, golden.Tolerance{RMSRel: 1e-5})
		}
	}
}

// TestMemory checks that the estimate does not grow with the length of audio that is processed in pieces.
func TestMemory(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/wider", "wider")
	v := open(t, src)
	short, long := v.DecodeMemory([]int{1, 8, 500, 16}), v.DecodeMemory([]int{1, 8, 5000, 16})
	if short <= 0 || short != long || v.EncodeMemory([]int{1, 2, 44100 * 60}) != v.EncodeMemory([]int{1, 2, 44100 * 600}) {
		t.Errorf("20 seconds take %d bytes, 200 take %d", short, long)
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"plain", "wider"} {
		_, src := familytest.Recorded(t, "testdata/"+form, form)
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			v := open(t, src)
			if _, err := v.Decode(t.Context(), run, tensor.New(1, 8, 3, 16)); err != nil || run.Err != nil {
				t.Errorf("%s: %v, %v", form, err, run.Err)
			}
			if _, err := v.Encode(t.Context(), run, tensor.New(1, 2, 8192)); err != nil || run.Err != nil {
				t.Errorf("%s: %v, %v", form, err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

// described is a file with other metadata.
type described struct {
	weights.Source
	config string
}

func (d described) Metadata() map[string]string {
	if d.config == "" {
		return nil
	}
	return map[string]string{"config": d.config}
}

// TestWrongFiles: what a file lacks is named.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/wider", "wider")
	config := src.Metadata()["config"]
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no vocoder":       {familytest.Without(src, "vocoder"), "without its vocoder"},
		"no metadata":      {described{src, ""}, "no config"},
		"no audio VAE":     {described{src, "{}"}, "audio_vae and vocoder"},
		"broken":           {described{src, "{"}, "reading the metadata"},
		"an axis":          {described{src, strings.Replace(config, `"height"`, `"depth"`, 1)}, "causality_axis"},
		"mono":             {described{src, strings.Replace(config, `"out_ch": 2`, `"out_ch": 1`, 1)}, "channels"},
		"blocks":           {described{src, strings.Replace(config, `"AMP1"`, `"AMP9"`, 1)}, "residual blocks"},
		"rates":            {described{src, strings.Replace(config, `"hop_length": 40`, `"hop_length": 41`, 1)}, "bandwidth extension"},
		"no statistics":    {familytest.Without(src, "std-of-means"), "std-of-means"},
		"missing weights":  {familytest.Without(src, "vocoder.vocoder.conv_post"), "vocoder.conv_post"},
		"no first vocoder": {described{src, strings.Replace(config, `"vocoder": {"vocoder":`, `"vocoder": {"other":`, 1)}, "no vocoder before it"},
	} {
		v, err := family.Open(family.Default, c.src).VAE()
		if err == nil && v != nil {
			_, err = v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 8, 1, 16))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	v := open(t, src)
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 8, 4, 4)); err == nil || !strings.Contains(err.Error(), "[1,8,length,16]") {
		t.Errorf("another latent: %v", err)
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 1, 4096)); err == nil {
		t.Error("one channel: no error")
	}
	if v, err := family.Open(family.Default, familytest.Without(src, "autoencoder.encoder")).VAE(); err != nil || v.Info().CanEncode {
		t.Errorf("a decoder alone: %v", err)
	}
}
