package svd_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// network is a U-Net of the family's detected shape with one residual block in each level but the first, whose vector is adm wide.
func network(adm, in int) string {
	var b strings.Builder
	w := func(name string, shape ...any) { fmt.Fprintln(&b, append([]any{name}, shape...)...) }
	norm := func(name string, c int) { w(name+".weight", c); w(name+".bias", c) }
	linear := func(name string, out, in int) { w(name+".weight", out, in); w(name+".bias", out) }
	conv := func(name string, out, in int, kernel ...any) {
		w(name+".weight", append([]any{out, in}, kernel...)...)
		w(name+".bias", out)
	}
	res := func(p string, in, out int) {
		for _, r := range []struct {
			at     string
			in     int
			kernel []any
		}{{p, in, []any{3, 3}}, {p + ".time_stack", out, []any{3, 1, 1}}} {
			norm(r.at+".in_layers.0", r.in)
			conv(r.at+".in_layers.2", out, r.in, r.kernel...)
			linear(r.at+".emb_layers.1", out, 1280)
			norm(r.at+".out_layers.0", out)
			conv(r.at+".out_layers.3", out, out, r.kernel...)
		}
		if in != out {
			conv(p+".skip_connection", out, in, 1, 1)
		}
		w(p+".time_mixer.mix_factor", 1)
	}
	attention := func(p string, c, context int) {
		w(p+".to_q.weight", c, c)
		w(p+".to_k.weight", c, context)
		w(p+".to_v.weight", c, context)
		linear(p+".to_out.0", c, c)
	}
	feed := func(p string, c int) { linear(p+".net.0.proj", 8*c, c); linear(p+".net.2", c, 4*c) }
	transformer := func(p string, c int) {
		norm(p+".norm", c)
		linear(p+".proj_in", c, c)
		linear(p+".proj_out", c, c)
		linear(p+".time_pos_embed.0", 4*c, c)
		linear(p+".time_pos_embed.2", c, 4*c)
		w(p+".time_mixer.mix_factor", 1)
		for _, at := range []string{p + ".transformer_blocks.0", p + ".time_stack.0"} {
			for _, n := range []string{".norm1", ".norm2", ".norm3"} {
				norm(at+n, c)
			}
			attention(at+".attn1", c, c)
			attention(at+".attn2", c, 1024)
			feed(at+".ff", c)
		}
		norm(p+".time_stack.0.norm_in", c)
		feed(p+".time_stack.0.ff_in", c)
	}
	linear("time_embed.0", 1280, 320)
	linear("time_embed.2", 1280, 1280)
	linear("label_emb.0.0", 1280, adm)
	linear("label_emb.0.2", 1280, 1280)
	conv("input_blocks.0.0", 320, in, 3, 3)
	block := 1
	for level := range 4 {
		if level > 0 {
			conv(fmt.Sprintf("input_blocks.%d.0.op", block), 320, 320, 3, 3)
			block++
		}
		for range 2 {
			p := fmt.Sprintf("input_blocks.%d", block)
			res(p+".0", 320, 320)
			if level < 3 {
				transformer(p+".1", 320)
			}
			block++
		}
	}
	res("middle_block.0", 320, 320)
	transformer("middle_block.1", 320)
	res("middle_block.2", 320, 320)
	for i := range block {
		p := fmt.Sprintf("output_blocks.%d", i)
		res(p+".0", 640, 320)
		if i%3 == 2 && i < 9 {
			conv(p+".1.conv", 320, 320, 3, 3)
		}
	}
	norm("out.0", 320)
	conv("out.2", 4, 320, 3, 3)
	return b.String()
}

func TestDetection(t *testing.T) {
	t.Parallel()
	list := func(adm int) weights.Source { return dryrun.List(network(adm, 8)) }
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"SVD":               {Source: list(768), Family: "Stable Video Diffusion", Type: sampling.VPredictionEDM},
		"SV3D u":            {Source: list(256), Family: "Stable Video 3D u", Type: sampling.VPredictionEDM},
		"SV3D p":            {Source: list(1280), Family: "Stable Video 3D p", Type: sampling.VPredictionEDM},
		"another vector":    {Source: list(512)},
		"without its times": {Source: familytest.Without(list(768), "time_stack")},
		"fewer blocks":      {Source: familytest.Without(list(768), "input_blocks.8.1")},
	})
	_, _, err := family.Open(family.Default, dryrun.List(network(768, 4))).Diffusion()
	if err == nil || !strings.Contains(err.Error(), "reads 4 channels") {
		t.Errorf("a network without channels for the image: %v", err)
	}
}

// TestVectors compares with upstream's embeddings: sines and cosines in float32, of angles up to a thousand.
func TestVectors(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/svd", "svd")
	r := sampling.Request{Shape: []int{3, 4, 2, 2}}
	for name, c := range map[string]struct {
		adm    int
		values map[string]any
		warned []string
	}{
		"motion":         {adm: 768, values: map[string]any{"fps": 12, "motion_bucket_id": 40, "augmentation_level": 0.25}},
		"motion.default": {adm: 768},
		"orbit":          {adm: 256, values: map[string]any{"augmentation_level": 0.5, "elevation": []float64{0, 0}, "azimuth": []float64{0, 3}}},
		"camera":         {adm: 1280, values: map[string]any{"elevation": []float64{10, -20.5, 95}, "azimuth": []float64{0, 120, 725.5}}},
		"camera.fewer":   {adm: 1280, values: map[string]any{"elevation": []float64{10, -20.5}, "azimuth": []float64{0, 120}, "augmentation_level": 0.1}},
	} {
		d, _, err := family.Open(family.Default, dryrun.List(network(c.adm, 8))).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		entry := (&sampling.Cond{Tokens: tensor.New(1, 1, 1024), Values: c.values}).Watched()
		in, err := d.Inputs(entry, r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		familytest.Compare(t, stored, name, sampling.Inputs{List: in}.Get(unet.InputVector), golden.Tolerance{MaxAbs: 2e-4, RMSRel: 1e-5})
		if unread := entry.Unread(); len(unread) > 0 {
			t.Errorf("%s: %v are said to have no effect", name, unread)
		}
	}
}

// TestVectorRefusals gives values of wrong types, and an elevation to the model that has one orbit.
func TestVectorRefusals(t *testing.T) {
	t.Parallel()
	open := func(adm int) family.Denoiser {
		d, _, err := family.Open(family.Default, dryrun.List(network(adm, 8))).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	r := sampling.Request{Shape: []int{2, 4, 2, 2}}
	for adm, values := range map[int]map[string]any{768: {"fps": "fast"}, 256: {"augmentation_level": true}, 1280: {"azimuth": "left"}} {
		if _, err := open(adm).Inputs(&sampling.Cond{Tokens: tensor.New(1, 1, 1024), Values: values}, r); err == nil {
			t.Errorf("%v is taken", values)
		}
	}
	entry := (&sampling.Cond{Values: map[string]any{"elevation": []float64{20, 20}, "azimuth": []float64{0, 180}}}).Watched()
	if _, err := open(256).Inputs(entry, r); err != nil || !slices.Equal(entry.Unread(), []string{"elevation"}) {
		t.Errorf("an elevation without effect: %v is told, %v", entry.Unread(), err)
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, dryrun.List(network(768, 8)), 1)
}

// TestVAEEqualsUpstream compares videos of one frame and more; 20 times torch's own error in float32, about 5e-7, is
// allowed: variances are added up frame by frame.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/svd", "svd")
	v := vae(t, src)
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	for _, n := range []int{1, 2, 4} {
		name := fmt.Sprint("decode", n)
		z := golden.Normal(fmt.Sprint("svd/z", n), n, 4, 5, 6)
		out := tensor.New(n, 3, 10, 12)
		next := 0
		err := v.DecodeSequence(t.Context(), familytest.Runner{}, z, func(i int, y *tensor.Tensor) {
			if i != next {
				t.Errorf("%s: frame %d comes as number %d", name, i, next)
			}
			next++
			copy(out.Index(i).Data, y.Data)
		})
		if err != nil || next != n {
			t.Errorf("%s: %d frames, %v", name, next, err)
			continue
		}
		familytest.Compare(t, stored, name, out, tolerance)
	}
	z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal("svd/x", 1, 3, 8, 12))
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "encode", z, tolerance)
}

// reshaped is a source with another shape of one weight.
type reshaped struct {
	weights.Source
	name  string
	shape []int
}

func (r reshaped) Lookup(name string) (weights.Entry, bool) {
	e, ok := r.Source.Lookup(name)
	if name == r.name {
		e.Shape = r.shape
	}
	return e, ok
}

func vae(t *testing.T, src weights.Source) family.Sequential {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	s, ok := v.(family.Sequential)
	if err != nil || !ok {
		t.Fatalf("%T, %v", v, err)
	}
	return s
}

func TestVAECUDA(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/svd", "svd")
	familytest.CheckCUDA(t, src, 2)
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/svd", "svd")
	if v := vae(t, familytest.Stored(src, dtype.F16)); v.Info().Channels != 4 || v.Info().Video {
		t.Errorf("%+v", v.Info())
	}
	if err := vae(t, src).DecodeSequence(t.Context(), familytest.Runner{}, tensor.New(2, 3, 4, 4), func(int, *tensor.Tensor) {}); err == nil {
		t.Error("a latent of three channels is decoded")
	}
	narrow := reshaped{src, "decoder.up.1.block.0.conv2.weight", []int{48, 48, 3, 3}}
	if _, err := family.Open(family.Default, narrow).VAE(); err == nil || !strings.Contains(err.Error(), "decoder.up.1.block.0 has 48 channels") {
		t.Errorf("channels that make no groups: %v", err)
	}
	err := vae(t, familytest.Without(src, "time_stack.out_layers.3.bias")).DecodeSequence(t.Context(), familytest.Runner{}, tensor.New(2, 4, 4, 4), func(int, *tensor.Tensor) {})
	if err != nil {
		t.Errorf("biases are optional: %v", err)
	}
	err = vae(t, familytest.Without(src, "up.0.block.1.mix_factor")).DecodeSequence(t.Context(), familytest.Runner{}, tensor.New(2, 4, 4, 4), func(int, *tensor.Tensor) {})
	if err == nil || !strings.Contains(err.Error(), "decoder.up.0.block.1.mix_factor") {
		t.Errorf("a missing share: %v", err)
	}
}
