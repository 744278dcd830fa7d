package wan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/wan"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func normal(name string, shape ...int) *tensor.Tensor { return golden.Normal("wan/"+name, shape...) }

// call is a call of a network that testdata/networks.py recorded. Further inputs are by name.
type call struct {
	inputs  map[string]*tensor.Tensor
	options map[string]any
}

// channels takes channels [from, to) of x.
func channels(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(append([]int{x.Dim(0), to - from}, x.Shape[2:]...)...)
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data[from*tensor.Count(x.Shape[2:]):])
	}
	return out
}

// with36 are the inputs of a latent with twenty further channels.
func with36(shape []int, more map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	return withFurther(shape, "x36", more)
}

// withFurther are the inputs of a latent with further channels.
func withFurther(shape []int, name string, more map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	x := normal(name, shape...)
	in := map[string]*tensor.Tensor{"": channels(x, 0, 16), "concat": channels(x, 16, shape[1])}
	for key, v := range more {
		in[key] = v
	}
	return in
}

// spoken are inputs of S2V: speech with a video to follow, a reference latent, and frames before the video.
func spoken(speech, person, before bool) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{"": normal("x8", 2, 16, 3, 8, 10)}
	if speech {
		in["speech"], in["guide"] = normal("speech", 2, 3, 6, 14), normal("guide", 2, 16, 3, 8, 10)
	}
	if person {
		in["person"] = normal("person", 2, 16, 1, 8, 10)
	}
	if before {
		wan.MotionInputs(normal("before", 2, 16, 5, 8, 10), in)
	}
	return in
}

// identities are the inputs of SCAIL 2.
func identities(replace *tensor.Tensor) map[string]*tensor.Tensor {
	in := withFurther([]int{2, 20, 3, 6, 4}, "x20", map[string]*tensor.Tensor{
		"image": normal("image", 2, 6, 1280), "pose": normal("pose", 2, 20, 3, 3, 2), "refs": normal("refs", 2, 20, 2, 6, 4),
		"masks": normal("masks", 2, 28, 5, 6, 4), "pose_masks": normal("pose_masks", 2, 28, 3, 3, 2),
	})
	if replace != nil {
		in["replace"] = replace
	}
	return in
}

func number(v float32) *tensor.Tensor { return &tensor.Tensor{Shape: []int{1}, Data: []float32{v}} }

// branched is a pose video as the network reads it: the latent, a mask of ones, and the latent.
func branched(z *tensor.Tensor) *tensor.Tensor {
	ones := tensor.New(z.Dim(0), 4, z.Dim(2), z.Dim(3), z.Dim(4))
	for i := range ones.Data {
		ones.Data[i] = 1
	}
	return dit.Channels(z, ones, z)
}

// scaled are rotary positions that an option moves.
var scaled = map[string]any{dit.OptionRotary: dit.Rotary{ScaleX: 1.5, ScaleY: 0.5, ScaleT: 2, ShiftT: 2, ShiftX: 1, ShiftY: -1}}

// frameNoise are timesteps of frames over those of rows, 300 and 800.
var frameNoise = &tensor.Tensor{Shape: []int{2, 3}, Data: []float32{0, 1, 1, 0, 1, 0.5}}

var (
	odd, even    = []int{2, 36, 3, 5, 4}, []int{2, 36, 3, 6, 4}
	networkCalls = map[string]map[string]call{
		"text": {
			"out":     {},
			"frames":  {inputs: map[string]*tensor.Tensor{"denoise_mask": frameNoise}},
			"scaled":  {options: scaled},
			"further": {inputs: map[string]*tensor.Tensor{"time_concat": normal("further", 2, 16, 2, 5, 4)}},
			"videos":  {inputs: map[string]*tensor.Tensor{"context0": normal("context0", 2, 16, 2, 4, 3), "context1": normal("context1", 2, 16, 1, 6, 4)}},
		},
		"image": {
			"out":   {inputs: with36(odd, map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280)})},
			"blind": {inputs: with36(odd, nil)},
			"ref":   {inputs: with36(even, map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280), "ref": normal("ref", 2, 16, 6, 4), "denoise_mask": frameNoise})},
		},
		"vace": {"out": {inputs: map[string]*tensor.Tensor{
			"": normal("x4", 2, 16, 3, 6, 4), "vace0": normal("vace0", 2, 96, 3, 6, 4), "vace1": normal("vace1", 2, 96, 3, 6, 4),
			"vace_strength": {Shape: []int{2}, Data: []float32{0.7, 1.2}},
		}}},
		"scail": {
			"out":   {inputs: withFurther([]int{2, 20, 3, 6, 4}, "x20", map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280), "pose": normal("pose", 2, 20, 3, 3, 2), "refs": normal("refs", 2, 20, 2, 6, 4)})},
			"pose":  {inputs: withFurther([]int{2, 20, 3, 6, 4}, "x20", map[string]*tensor.Tensor{"pose": normal("pose", 2, 20, 3, 3, 2)}), options: scaled},
			"blind": {inputs: withFurther([]int{2, 20, 3, 5, 4}, "x20odd", map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280)})},
		},
		"scail2": {"animate": {inputs: identities(nil)}, "replace": {inputs: identities(number(1)), options: scaled}},
		"humo": {
			"out":    {inputs: map[string]*tensor.Tensor{"audio": normal("audio", 2, 3, 2, 3, 5)}},
			"ref":    {inputs: map[string]*tensor.Tensor{"": normal("x4", 2, 16, 3, 6, 4), "audio": normal("audio", 2, 3, 2, 3, 5), "refs": normal("ref5", 2, 16, 1, 6, 4)}},
			"silent": {},
		},
		"humo17": {"ref": {inputs: with36(even, map[string]*tensor.Tensor{"audio": normal("audio", 2, 3, 2, 3, 5), "refs": normal("ref36", 2, 36, 1, 6, 4)})}},
		"dancer": {
			"out": {inputs: withFurther([]int{2, 36, 2, 8, 8}, "x36w", map[string]*tensor.Tensor{
				"image": normal("image", 2, 6, 1280), "image_ref": normal("image_ref", 2, 4, 1280), "music": normal("music", 2, 11, 35), "music_scale": number(0.5),
			})},
			"global": {inputs: withFurther([]int{2, 36, 2, 8, 8}, "x36w", map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280), "music": normal("music", 2, 11, 35), "fps": number(7.5)})},
			"blind":  {inputs: with36(odd, nil)},
		},
		"s2v": {
			"out":    {inputs: spoken(true, true, true)},
			"person": {inputs: spoken(true, true, false), options: scaled},
			"motion": {inputs: spoken(false, false, true)},
			"alone":  {inputs: spoken(false, false, false)},
		},
		"animate": {
			"out": {inputs: withFurther([]int{2, 36, 5, 6, 4}, "x36long", map[string]*tensor.Tensor{
				"image": normal("image", 2, 6, 1280), "face": normal("face", 2, 3, 9, 16, 16), "pose": normal("follow", 2, 16, 3, 6, 4),
			})},
			"face":  {inputs: with36(even, map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280), "face": normal("face", 2, 3, 9, 16, 16)})},
			"pose":  {inputs: with36(even, map[string]*tensor.Tensor{"pose": normal("follow", 2, 16, 3, 6, 4)})},
			"blind": {inputs: with36(odd, nil)},
		},
		"animate2": {
			"out": {inputs: with36(odd, map[string]*tensor.Tensor{
				"image": normal("image", 2, 6, 1280), "pose": branched(normal("pose16", 2, 16, 2, 5, 4)),
				"image_pose": normal("image_pose", 2, 4, 1280), "context_pose": normal("context_pose", 2, 5, 24),
			})},
			"scaled": {inputs: with36(odd, map[string]*tensor.Tensor{
				"pose": branched(normal("pose16", 2, 16, 2, 5, 4)), "pose_strength": number(0.5), "reference_strength": number(1.5),
			}), options: scaled},
			"alone": {inputs: with36(odd, map[string]*tensor.Tensor{"image": normal("image", 2, 6, 1280), "reference_strength": number(1.5)})},
		},
		"camera": {
			"out":   {inputs: with36(even, map[string]*tensor.Tensor{"camera": normal("camera", 2, 24, 3, 48, 32)})},
			"still": {inputs: with36(odd, nil)},
		},
	}
)

// predict runs a recorded call.
func predict(t *testing.T, d family.Denoiser, run family.Runner, c call) (*tensor.Tensor, error) {
	t.Helper()
	x := normal("x", 2, 16, 3, 5, 4)
	list := []sampling.Input{{Name: sampling.InputContext, Value: normal("context", 2, 7, 24), Rule: sampling.ByRows}}
	for name, v := range c.inputs {
		if name == "" {
			x = v
			continue
		}
		list = append(list, sampling.Input{Name: name, Value: v, Rule: sampling.ByRows})
	}
	return d.Predict(t.Context(), run, family.Call{X: x, T: []float32{300, 800}, Inputs: sampling.Inputs{List: list, Options: c.options}})
}

// TestNetworksEqualUpstream compares calls of the networks; torch's own error in float32 is below 1e-6.
func TestNetworksEqualUpstream(t *testing.T) {
	t.Parallel()
	for file, calls := range networkCalls {
		stored, src := recordedNetwork(t, file)
		d, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range calls {
			y, err := predict(t, d, familytest.Runner{}, c)
			if err != nil {
				t.Fatalf("%s %s: %v", file, name, err)
			}
			familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
		}
	}
}

// TestPoseCache compares calls with a cache, the first one, which fills it, and one that reads it, with those without. Values of eight and four bits
// differ. All rows use the pose video of the first one, as in upstream.
func TestPoseCache(t *testing.T) {
	t.Parallel()
	_, src := recordedNetwork(t, "animate2")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	c := call{inputs: map[string]*tensor.Tensor{}}
	for name, v := range networkCalls["animate2"]["out"].inputs {
		if strings.Contains(name, "pose") {
			v = v.Clone()
			copy(v.Index(1).Data, v.Index(0).Data)
		}
		c.inputs[name] = v
	}
	want, err := predict(t, d, familytest.Runner{}, c)
	if err != nil {
		t.Fatal(err)
	}
	for bits, tolerance := range map[int]float64{32: 1e-6, 8: 0.005, 4: 0.05} {
		c.options = map[string]any{wan.OptionPoseCache: wan.NewPoseCache(bits)}
		for range 2 {
			y, err := predict(t, d, familytest.Runner{}, c)
			if err != nil {
				t.Fatalf("%d bits: %v", bits, err)
			}
			golden.Compare(t, fmt.Sprint(bits, " bits"), y.Data, want.Data, golden.Tolerance{RMSRel: tolerance})
		}
	}
}

// TestNetworksCUDA checks the graphs of all recorded calls.
func TestNetworksCUDA(t *testing.T) {
	t.Parallel()
	for file, calls := range networkCalls {
		_, src := recordedNetwork(t, file)
		d, _, err := family.Open(family.Default, src).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range familytest.Targets(t) {
			for name, c := range calls {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				if _, err := predict(t, d, run, c); err != nil || run.Err != nil {
					t.Fatalf("%s %s: %v, %v", file, name, err, run.Err)
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
	}
}

// recordedNetwork is a network that testdata/networks.py recorded, with its metadata where they tell its form.
func recordedNetwork(t *testing.T, file string) (*inner.Tensors, weights.Source) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/"+file, "wan")
	if file == "animate2" {
		src = configured{src, `{"transformer": {"model_type": "animate2"}}`}
	}
	return stored, src
}

// configured is a file with a config in its metadata.
type configured struct {
	weights.Source
	config string
}

// Metadata implements weights.Source.
func (c configured) Metadata() map[string]string { return map[string]string{"config": c.config} }

func TestDetection(t *testing.T) {
	t.Parallel()
	file := func(name string) weights.Source {
		_, src := familytest.Recorded(t, "testdata/"+name, "wan")
		return src
	}
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"text":            {Manifest: "wan21-t2v-small", Family: "Wan 2.1", Type: sampling.Flow, Shift: 8},
		"image":           {Manifest: "wan21-i2v-small", Family: "Wan 2.1 I2V", Type: sampling.Flow, Shift: 8},
		"image of 2.2":    {Manifest: "wan22-i2v-tiny", Family: "Wan 2.1", Type: sampling.Flow, Shift: 8},
		"control":         {Manifest: "wan-fun-control-tiny", Family: "Wan 2.1 Fun Control", Type: sampling.Flow, Shift: 8},
		"control videos":  {Manifest: "wan21-vace-small", Family: "Wan 2.1 VACE", Type: sampling.Flow, Shift: 8},
		"5B":              {Manifest: "wan22-5b-small", Family: "Wan 2.2 5B", Type: sampling.Flow, Shift: 8},
		"camera":          {Source: file("camera"), Family: "Wan 2.2 Fun Camera", Type: sampling.Flow, Shift: 8},
		"first and last":  {Source: file("image"), Family: "Wan 2.1 I2V", Type: sampling.Flow, Shift: 8},
		"scail":           {Source: file("scail"), Family: "Wan 2.1 SCAIL", Type: sampling.Flow, Shift: 8},
		"scail 2":         {Source: file("scail2"), Family: "Wan 2.1 SCAIL 2", Type: sampling.Flow, Shift: 8},
		"humo":            {Source: file("humo"), Family: "Wan 2.1 HuMo", Type: sampling.Flow, Shift: 8},
		"flow RVS":        {Source: configured{file("text"), `{"transformer": {"model_type": "flow_rvs"}}`}, Family: "Wan 2.1 FlowRVS", Type: sampling.ImgToImgFlow, Shift: 8},
		"animate 2":       {Source: configured{file("animate2"), `{"transformer": {"model_type": "animate2"}}`}, Family: "Wan Animate 2", Type: sampling.Flow, Shift: 5},
		"dancer":          {Source: file("dancer"), Family: "WanDancer", Type: sampling.Flow, Shift: 8},
		"S2V":             {Source: file("s2v"), Family: "Wan 2.2 S2V", Type: sampling.Flow, Shift: 8},
		"animate":         {Source: file("animate"), Family: "Wan 2.2 Animate", Type: sampling.Flow, Shift: 8},
		"no modulation":   {Manifest: "wan21-t2v-small", Without: "head.modulation"},
		"no feed-forward": {Manifest: "wan21-t2v-small", Without: "ffn.0"},
		"no text":         {Manifest: "wan21-t2v-small", Without: "text_embedding"},
		"Cosmos Predict2": {Manifest: "cosmos-predict2-small", Family: "Cosmos Predict2", Type: sampling.FlowCosmos},
	})
	if d := familytest.Model(t, "wan22-5b-small", dtype.Invalid); d.Latent().Channels != 48 || d.(family.Keeping).Kept(1, frameNoise) != frameNoise {
		t.Error("5B: frames that are kept are to be read as they are")
	}
	if _, ok := familytest.Model(t, "wan21-t2v-small", dtype.Invalid).(family.Keeping); ok {
		t.Error("2.1: frames that are kept are to be read with noise")
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	want := patch.Target{Key: "blocks.0.self_attn.q.weight"}
	familytest.CheckLoRAKeys(t, familytest.Model(t, "wan21-t2v-small", dtype.Invalid), map[string]patch.Target{
		"lora_unet_blocks_0_self_attn_q": want, "diffusion_model.blocks.0.self_attn.q": want, "lora_unet__blocks_0_self_attn_q": want,
	})
}

// TestInputs checks the networks' inputs from entries, and the rejected ones.
func TestInputs(t *testing.T) {
	t.Parallel()
	shape := []int{1, 16, 3, 6, 4}
	video := func(channels, frames int) *tensor.Tensor { return normal("v", 1, channels, frames, 6, 4) }
	vision := family.ImageEncoding{Penultimate: normal("e", 1, 5, 1280)}
	for name, c := range map[string]struct {
		manifest string
		values   map[string]any
		mask     *tensor.Tensor
		names    []string // beside the text
		err      string
	}{
		"text":             {manifest: "wan21-t2v-small"},
		"subjects":         {manifest: "wan21-t2v-small", values: map[string]any{sampling.KeyTimeConcat: video(16, 2)}, names: []string{"time_concat"}},
		"no image":         {manifest: "wan21-i2v-small", names: []string{"concat"}},
		"image":            {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyConcatLatent: video(16, 3), sampling.KeyVisionOutput: vision}, names: []string{"concat", "image"}},
		"short mask":       {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyConcatLatent: video(16, 3), sampling.KeyConcatMask: video(1, 2)}, names: []string{"concat"}},
		"noise mask":       {manifest: "wan21-i2v-small", mask: video(16, 3), names: []string{"concat"}},
		"two images":       {manifest: "wan-fun-control-tiny", values: map[string]any{sampling.KeyConcatLatent: video(32, 3)}, names: []string{"concat"}},
		"control videos":   {manifest: "wan21-vace-small", names: []string{"vace0", "vace_strength"}},
		"length":           {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyConcatLatent: video(16, 2)}, err: "another length"},
		"other VAE":        {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyConcatLatent: video(12, 3)}, err: "another family"},
		"one image":        {manifest: "wan-fun-control-tiny", values: map[string]any{sampling.KeyConcatLatent: video(16, 3)}, err: "16 channels"},
		"long mask":        {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyConcatLatent: video(16, 3), sampling.KeyConcatMask: video(1, 4)}, err: "mask"},
		"other encoder":    {manifest: "wan21-i2v-small", values: map[string]any{sampling.KeyVisionOutput: family.ImageEncoding{Penultimate: normal("e", 1, 5, 768)}}, err: "ViT-H"},
		"subject of 5B":    {manifest: "wan21-t2v-small", values: map[string]any{sampling.KeyTimeConcat: video(48, 2)}, err: "16 channels"},
		"short control":    {manifest: "wan21-vace-small", values: map[string]any{"vace_frames": []any{video(32, 2)}}, err: "one size and length"},
		"control channels": {manifest: "wan21-vace-small", values: map[string]any{"vace_frames": []any{video(16, 3)}}, err: "96"},
		"strength":         {manifest: "wan21-vace-small", values: map[string]any{"vace_strength": []any{"one"}}, err: "number"},
	} {
		m := familytest.Model(t, c.manifest, dtype.Invalid)
		cond := (&sampling.Cond{Tokens: normal("t", 1, 4, 768), Values: c.values}).Watched()
		in, err := m.Inputs(cond, sampling.Request{Shape: shape, Format: m.Latent(), Mask: c.mask})
		if c.err != "" || err != nil {
			if err == nil || c.err == "" || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		var names []string
		for _, i := range in[1:] {
			names = append(names, i.Name)
		}
		if !slices.Equal(names, c.names) || len(cond.Unread()) > 0 {
			t.Errorf("%s: %v, want %v; unread %v", name, names, c.names, cond.Unread())
		}
	}
}

func TestWrongCalls(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, "wan21-t2v-small", dtype.Invalid)
	text := func(width int) []sampling.Input {
		return []sampling.Input{{Name: sampling.InputContext, Value: tensor.New(1, 4, width), Rule: sampling.ByRows}}
	}
	further := sampling.Input{Name: "time_concat", Value: tensor.New(1, 16, 1, 4, 4), Rule: sampling.ByRows}
	e, _ := m.Weights().Lookup("text_embedding.0.weight")
	for name, c := range map[string]family.Call{
		"an image": {X: tensor.New(1, 16, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(e.Shape[1])}},
		"channels": {X: tensor.New(1, 4, 2, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(e.Shape[1])}},
		"text":     {X: tensor.New(1, 16, 2, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: text(9)}},
		"subjects": {X: tensor.New(1, 16, 2, 8, 8), T: []float32{1}, Inputs: sampling.Inputs{List: append(text(e.Shape[1]), further)}},
	} {
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}
		if _, err := m.Predict(t.Context(), run, c); err == nil || run.Err != nil {
			t.Errorf("%s: %v, %v", name, err, run.Err)
		}
	}
	small, large := m.Memory([]int{1, 16, 2, 64, 64}, 77), m.Memory([]int{1, 16, 8, 64, 64}, 77)
	if small <= 0 || large < 2*small {
		t.Errorf("%d bytes, and %d for four times the length", small, large)
	}
}
