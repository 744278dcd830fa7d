package sam3_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/sam3"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// close is for one pass through the network: the order of sums.
var closeTo = golden.Tolerance{RMSRel: 1e-5}

// tracked is for four frames, each of which reads what the ones before left.
var tracked = golden.Tolerance{RMSRel: 1e-4}

const (
	grid  = 12
	side  = 168
	width = 64
)

func network(t *testing.T, name string) (*inner.Tensors, family.Segmenter) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/"+name, "sam3")
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"sam3": "SAM 3", "sam31": "SAM 3.1"}[name]; fam.Name() != want {
		t.Fatalf("%s is read as %s", name, fam.Name())
	}
	return stored, sam3.Smaller(d.(family.Segmenter), grid)
}

func image(name string) *tensor.Tensor {
	x := golden.Normal("sam3/"+name, 1, 3, side, side)
	for i, v := range x.Data {
		x.Data[i] = min(max(v*0.3+0.5, 0), 1)
	}
	return x
}

func text() family.SegmentText {
	return family.SegmentText{Hidden: golden.Normal("sam3/text", 1, 5, width), Mask: &tensor.Tensor{Shape: []int{1, 5}, Data: []float32{1, 1, 1, 1, 0}}, Most: 1}
}

// compare compares every n-th value with those that were recorded.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, n int, tolerance golden.Tolerance) {
	t.Helper()
	kept := golden.Strided(got.Data, n)
	familytest.Compare(t, stored, name, &tensor.Tensor{Shape: []int{len(kept)}, Data: kept}, tolerance)
}

func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sam3", "sam31"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored, net := network(t, name)
			run := familytest.Runner{}
			seen, err := net.Look(t.Context(), run, image("image"))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, stored, "trunk", seen, 31, closeTo)
			boxes := &tensor.Tensor{Shape: []int{2, 4}, Data: []float32{0.4, 0.5, 0.5, 0.3, 0.7, 0.2, 0.2, 0.35}}
			for kind, b := range map[string]*tensor.Tensor{"text": nil, "boxes": boxes} {
				s, err := net.Detect(t.Context(), run, seen, text(), b)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, stored, kind+" boxes", s.Boxes, 1, closeTo)
				compare(t, stored, kind+" scores", s.Scores, 1, closeTo)
				compare(t, stored, kind+" masks", s.Masks, 31, closeTo)
			}
			mask := golden.Normal("sam3/mask", 1, 1, 60, 60)
			for i := range mask.Data {
				mask.Data[i] *= 5
			}
			for kind, p := range map[string]family.SegmentPrompt{
				"point":  {Points: []family.Point{{X: 50, Y: 60, Positive: true}}},
				"points": {Points: []family.Point{{X: 50, Y: 60, Positive: true}, {X: 20, Y: 100, Positive: true}, {X: 140, Y: 30}}},
				"box":    {Box: &[4]float32{20, 30, 120, 150}},
				"mask":   {Mask: mask},
			} {
				got, err := net.Segment(t.Context(), run, seen, p)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, stored, kind, got, 31, closeTo)
			}
		})
	}
}

// discs are masks of objects.
func discs(n int) *tensor.Tensor {
	if n == 0 {
		return nil
	}
	m := tensor.New(n, 40, 50)
	for i := range m.Data {
		k, y, x := i/2000, i/50%40, i%50
		if dy, dx := y-8-9*k, x-12-11*k; dy*dy+dx*dx < 64 {
			m.Data[i] = 1
		}
	}
	return m
}

func TestTracksAsUpstream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, name    string
		objects       int
		texts         bool
		threshold     float32
		most, between int
	}{
		{"sam3", "tracked", 2, false, 0.5, 0, 1},
		{"sam31", "tracked", 3, false, 0.5, 0, 1},
		{"sam31", "found", 0, true, 0.45, 3, 2},
		{"sam31", "both", 2, true, 0.45, 5, 1},
	} {
		t.Run(c.file+" "+c.name, func(t *testing.T) {
			t.Parallel()
			stored, net := network(t, c.file)
			call := family.TrackCall{
				Frames: 4, Initial: discs(c.objects), Threshold: c.threshold, Most: c.most, Interval: c.between,
				Frame: func(i int) (*tensor.Tensor, error) { return image("frame " + string(rune('0'+i))), nil },
			}
			if c.texts {
				call.Texts = []family.SegmentText{text()}
			}
			logits := &tensor.Tensor{Shape: []int{0}}
			sam3.Logits(net, func(mask []float32) {
				logits.Data = append(logits.Data, mask...)
				logits.Shape[0] = len(logits.Data)
			})
			got, err := net.Track(t.Context(), familytest.Runner{}, call)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, stored, c.name, logits, 61, tracked)
			if len(got.Masks) != 4*got.Objects*side*side/8 || len(got.Scores) != got.Objects {
				t.Errorf("%d bytes of masks and %d scores of %d objects", len(got.Masks), len(got.Scores), got.Objects)
			}
		})
	}
}

func TestTextEncoder(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/text", "sam3")
	src = dit.Rename(src, func(n string) string { return strings.TrimPrefix(n, "sam3_clip.transformer.") })
	src = dit.Rename(layout.OpenCLIPText(src), func(n string) string { return "detector.backbone.language_backbone.encoder." + n })
	src = dit.Overlay(src, dryrun.List("resizer.weight 8 32\n"), map[string]string{"detector.backbone.language_backbone.resizer.weight": "resizer.weight"})
	found, err := family.Open(family.Default, src).Bundled(map[string][]string{"sam3_clip": {"detector.backbone.language_backbone."}})
	if err != nil || found["sam3_clip"] == nil {
		t.Fatal(found, err)
	}
	net := found["sam3_clip"]
	var scheme family.Scheme
	for _, s := range family.Default.Schemes() {
		if s.Type() == "sam3" {
			scheme = s
		}
	}
	entry := scheme.Encoders()[0]
	encode := func(run family.Runner, prompt string) family.Encoding {
		p := family.Prompt{Text: prompt}
		tokens, err := entry.Tokenize(net.Tokenize, p, family.TokenizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e, err := entry.Run(t.Context(), family.SchemeCall{Net: net, Runner: run, Prompt: p, Tokens: map[string]tokenizer.Tokens{"sam3_clip": tokens}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for _, target := range familytest.Targets(t) {
		dry := &dryrun.Runner{Spec: family.Spec{Target: target}}
		encode(dry, "cat")
		if dry.Err != nil || len(dry.Graphs) == 0 {
			t.Fatalf("%d graphs were built: %v", len(dry.Graphs), dry.Err)
		}
		for _, g := range dry.Graphs {
			cudakernels.Check(t, g)
		}
	}
	one := encode(familytest.Runner{}, "a (red) cat")
	familytest.Compare(t, stored, "encoded", one.Hidden, closeTo)
	familytest.Compare(t, stored, "mask", one.Mask, closeTo)
	several := encode(familytest.Runner{}, "red cat, (dog) :3").Extra[family.KeySegmentTexts].([]family.SegmentText)
	if len(several) != 2 || several[0].Most != 1 || several[1].Most != 3 {
		t.Fatalf("%+v", several)
	}
	familytest.Compare(t, stored, "first", several[0].Hidden, closeTo)
	familytest.Compare(t, stored, "second", several[1].Hidden, closeTo)
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for prompt, want := range map[string]struct {
		texts []string
		most  []int
	}{
		"":                       {nil, nil},
		"cat":                    {[]string{"cat"}, []int{1}},
		" a cat , (dog):2, ,x:0": {[]string{"a cat", "dog", "x"}, []int{1, 2, 1}},
		"a: b, c : 2.5, d:3.5":   {[]string{"a: b", "c", "d"}, []int{1, 2, 4}},
		"12:30, x:1.2.3":         {[]string{"12", "x:1.2.3"}, []int{30, 1}},
	} {
		if texts, most := sam3.Kinds(prompt); !slices.Equal(texts, want.texts) || !slices.Equal(most, want.most) {
			t.Errorf("%q: %q %v", prompt, texts, most)
		}
	}
}

// TestLayout reads the tensors of a checkpoint as it is distributed.
func TestLayout(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	_, src := familytest.Recorded(t, "testdata/sam31", "sam3")
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		n = strings.Replace(n, "tracker.", "tracker.model.", 1)
		n = strings.NewReplacer(".mlp.0.", ".mlp.lin1.", ".mlp.2.", ".mlp.lin2.", ".norm_final.", ".norm_final_attn.").Replace(n)
		list.WriteString(strings.Trim(n+" "+strings.Trim(strings.Join(strings.Fields(strings.Trim(fmt.Sprint(e.Shape), "[]")), " "), " "), " ") + "\n")
	}
	list.WriteString("detector.backbone.vision_backbone.trunk.blocks.0.attn.freqs_cis 4 4\n")
	d, _, err := family.Open(family.Default, dryrun.List(list.String())).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	names := d.Weights().Names()
	for _, want := range []string{"tracker.sam_mask_decoder.transformer.layers.0.mlp.0.weight", "tracker.interactive_sam_mask_decoder.transformer.norm_final.bias"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "freqs_cis") }) {
		t.Error("a computed table is read")
	}
}

// reshaped lists a recorded network whose tensors with a name that ends in suffix have another shape.
func reshaped(t *testing.T, file, suffix, shape string) weights.Source {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/"+file, "sam3")
	var list strings.Builder
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		to := strings.Trim(fmt.Sprint(e.Shape), "[]")
		if strings.HasSuffix(n, suffix) {
			to = shape
		}
		list.WriteString(n + " " + to + "\n")
	}
	return dryrun.List(list.String())
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, net := network(t, "sam3")
	if _, err := net.Inputs(nil, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "SAM3_Detect") {
		t.Error(err)
	}
	if _, err := net.Look(t.Context(), familytest.Runner{}, tensor.New(1, 3, 8, 8)); err == nil || !strings.Contains(err.Error(), "168") {
		t.Error(err)
	}
	if _, err := net.Detect(t.Context(), familytest.Runner{}, nil, family.SegmentText{Hidden: tensor.New(1, 2, 8)}, nil); err == nil || !strings.Contains(err.Error(), "text encoder of the SAM 3 checkpoint") {
		t.Error(err)
	}
	if _, err := net.Track(t.Context(), familytest.Runner{}, family.TrackCall{Frames: 1, Texts: []family.SegmentText{text()}}); err == nil || !strings.Contains(err.Error(), "initial_mask") {
		t.Error(err)
	}
	for _, c := range []struct{ file, tensor, shape, want string }{
		{"sam3", "trunk.patch_embed.proj.weight", "64 0 65536 65536", "patches of 3 channels"},
		{"sam3", "decoder.query_embed.weight", "10 0", "no axis without values"},
		{"sam3", "tracker.maskmem_tpos_enc", "65536 1 1 8", "more than 64 frames"},
		{"sam31", "tracker.output_valid_embed", "65536 0", "at most 64"},
	} {
		if _, _, err := family.Open(family.Default, reshaped(t, c.file, c.tensor, c.shape)).Diffusion(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of shape %s: %v, want %q", c.tensor, c.shape, err, c.want)
		}
	}
	broken := "detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight 192 64\ndetector.transformer.decoder.query_embed.weight 10 32\n"
	if _, _, err := family.Open(family.Default, dryrun.List(broken)).Diffusion(); err == nil || !strings.Contains(err.Error(), "detector and tracker") {
		t.Error(err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/sam3", "sam3")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	// One product of the queries' masks alone takes 10·288² numbers, and one of the memory's input 32·1152².
	n := d.(family.Segmenter).Busiest(0)
	if n < 4*1152*1152 || n != d.Memory(nil, 0) {
		t.Errorf("%d bytes", n)
	}
	// The features of a box take 32·7² numbers.
	if boxes := d.(family.Segmenter).Busiest(1 << 20); boxes < 4*32*7*7<<20 {
		t.Errorf("%d bytes with 2^20 boxes, %d without", boxes, n)
	}
}
