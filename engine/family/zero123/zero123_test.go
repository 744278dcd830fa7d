package zero123_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// network is a U-Net of the family's widths in a checkpoint, as far as detection looks.
const network = `model.diffusion_model.time_embed.0.weight 1280 320
model.diffusion_model.input_blocks.0.0.weight 320 8 3 3
model.diffusion_model.input_blocks.1.0.in_layers.0.weight 320
model.diffusion_model.input_blocks.1.1.proj_in.weight 320 320 1 1
model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768
model.diffusion_model.output_blocks.0.0.in_layers.0.weight 640
model.diffusion_model.out.2.weight 4 320 3 3
`

// checkpoint is the network with a projection that takes one value to another: output o is input o plus o/8, and the camera's
// first value goes to output 1.
func checkpoint(t *testing.T) weights.Source {
	t.Helper()
	const out, in = 768, 772
	w, b := make([]float32, out*in), make([]float32, out)
	for o := range out {
		w[o*in+o], b[o] = 1, float32(o)/8
	}
	w[in+768] = 2
	entry := func(name string, v []float32, shape ...int) weights.Entry {
		data := make([]byte, 4*len(v))
		if err := weights.FromFloat32(data, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		return weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data}
	}
	list := []weights.Entry{entry("cc_projection.bias", b, out), entry("cc_projection.weight", w, out, in)}
	src := dryrun.List(network)
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		list = append(list, e)
	}
	return dryrun.Described(list)
}

func TestDetection(t *testing.T) {
	t.Parallel()
	file := checkpoint(t)
	d, fam, err := family.Open(family.Default, file).Checkpoint()
	if err != nil || fam.Name() != "Stable Zero123" {
		t.Fatalf("%v, %v", fam, err)
	}
	if kind, _ := d.Sampling(); kind != sampling.EPS {
		t.Errorf("it predicts %v", kind)
	}
	// Without its projection the U-Net is one that edits images, as in upstream.
	for name, open := range map[string]func() (family.Denoiser, family.Family, error){
		"no projection":   family.Open(family.Default, familytest.Without(file, "cc_projection")).Checkpoint,
		"the U-Net alone": family.Open(family.Default, file).Diffusion,
	} {
		if _, fam, err := open(); err != nil || !strings.HasPrefix(fam.Name(), "Stable Diffusion 1") {
			t.Errorf("%s: %v, %v", name, fam, err)
		}
	}
	if _, _, err := family.Open(family.Default, familytest.Without(file, "cc_projection.bias")).Checkpoint(); err == nil || !strings.Contains(err.Error(), "cc_projection.bias") {
		t.Errorf("a projection without bias: %v", err)
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	d, _, err := family.Open(family.Default, checkpoint(t)).Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	r := sampling.Request{Shape: []int{2, 4, 8, 8}}
	tokens := tensor.New(2, 1, 772)
	tokens.Index(1).Data[1], tokens.Index(1).Data[768] = 3, 0.5
	in, err := d.Inputs(&sampling.Cond{Tokens: tokens}, r)
	if err != nil {
		t.Fatal(err)
	}
	context := sampling.Inputs{List: in}.Get(sampling.InputContext)
	if got, want := context.Index(1).Data[1], float32(3+2*0.5+1./8); context.Dim(2) != 768 || math.Abs(float64(got-want)) > 1e-6 {
		t.Errorf("projected to %v with %v, want %v", context.Shape, got, want)
	}
	text := tensor.New(1, 77, 768)
	in, err = d.Inputs(&sampling.Cond{Tokens: text}, r)
	if err != nil || (sampling.Inputs{List: in}).Get(sampling.InputContext) != text {
		t.Errorf("an encoding of the U-Net's own width is changed: %v", err)
	}
	for name, c := range map[string]*sampling.Cond{
		"no encoding":    {},
		"another width":  {Tokens: tensor.New(1, 1, 1024)},
		"image channels": {Tokens: text, Values: map[string]any{sampling.KeyConcatLatent: tensor.New(1, 16, 8, 8)}},
	} {
		if _, err := d.Inputs(c, r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
