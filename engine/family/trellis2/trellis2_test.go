package trellis2_test

import (
	"os"
	"slices"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

func normal(name string, shape ...int) *tensor.Tensor {
	return golden.Normal("trellis2/"+name, shape...)
}

// compare compares a value with all of a few recorded values, or one of every so many.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, tolerance golden.Tolerance) {
	t.Helper()
	const short, every = 200, 29
	if got.Len() >= short {
		familytest.CompareEvery(t, stored, name, got, got.Shape, every, tolerance)
		return
	}
	familytest.Compare(t, stored, name, got, tolerance)
}

// near is ten times and more what float32 and the order of sums make of small networks of a few blocks.
var near = golden.Tolerance{RMSRel: 2e-5}

// counts are the cells of the recorded volumes.
var counts = []int{19, 11}

// cells are the recording's: distinct ones near each other, in order, [N,4].
func cells(counts []int, far int) []float32 {
	var list [][4]float32
	for item, n := range counts {
		for i := range n {
			k := i*5 + item*3
			list = append(list, [4]float32{float32(item), float32(k/25%5 + far), float32(k / 5 % 5), float32((k+i)%5 + 2*item)})
		}
	}
	slices.SortFunc(list, func(a, b [4]float32) int { return slices.Compare(a[:], b[:]) })
	var out []float32
	for _, c := range list {
		out = append(out, c[:]...)
	}
	return out
}

// model returns the networks of a recording.
func model(t *testing.T, name string) (*inner.Tensors, weights.Source, family.Denoiser) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/"+name, "trellis2")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return stored, src, d
}

var modes = map[string]string{"structure": "structure_generation", "coarse": "shape_generation_512", "fine": "shape_generation", "texture": "texture_generation"}

// values are the recorded values of an entry for a stage, with so many image features a cell.
func values(stage string, seen int) map[string]any {
	all := map[string]any{sampling.KeyFineImage: normal("embeds", 4, 9, 128), sampling.KeyStage: modes[stage], sampling.KeyModelFrame: "y_up", sampling.KeyProjection: "a pack"}
	if stage != "structure" {
		all[sampling.KeyCells], all[sampling.KeyCellCounts] = &tensor.Tensor{Shape: []int{30, 4}, Data: cells(counts, 16)}, counts
	}
	if stage == "texture" {
		all[sampling.KeyShapeLatent] = normal("slat", 30, 32)
	}
	switch {
	case seen > 0 && stage == "structure":
		all[sampling.KeyProjected] = normal("whole features", 2, 4096, 128)
	case seen > 0:
		all[sampling.KeyProjected] = normal("features", 30, seen)
	}
	return all
}

// predict calls the network of a stage: rows 0 and 1 are of the negative side, the others of the positive one.
func predict(t *testing.T, d family.Denoiser, stage string, entry map[string]any) (*tensor.Tensor, error) {
	t.Helper()
	x := normal("x", 4, 32, 19, 1)
	if stage == "structure" {
		x = normal("dense", 4, 32, 16, 16, 16)
	}
	c := &sampling.Cond{Tokens: normal("context", 4, 7, 128), Values: entry}
	watched := c.Watched()
	in, err := d.Inputs(watched, sampling.Request{Shape: x.Shape, Latent: x, Format: d.Latent()})
	if err != nil {
		return nil, err
	}
	if unread := watched.Unread(); len(unread) > 0 && entry[sampling.KeyStage] == modes["texture"] {
		t.Errorf("values %v were not read", unread)
	}
	for i := range in {
		if in[i].Name == "seen" {
			in[i].Value = &tensor.Tensor{Shape: []int{4, 1, 1}, Data: []float32{0, 0, 1, 1}}
		}
	}
	return d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{700, 250, 700, 250}, Inputs: sampling.Inputs{List: in}})
}

// TestEqualsUpstream compares all networks, with two volumes of different numbers of cells on both sides of the guidance, and without and with image features.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for name, seen := range map[string]int{"flow": 0, "seen": 256, "texture_flow": 0} {
		stored, src, d := model(t, name)
		for stage := range modes {
			if name == "texture_flow" && stage != "texture" {
				continue
			}
			y, err := predict(t, d, stage, values(stage, seen))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, stage, err)
			}
			if stage == "structure" {
				cut := tensor.New(4, 8, 16, 16, 16)
				for i := range 4 {
					copy(cut.Index(i).Data, y.Index(i).Data)
					if rest := y.Index(i).Data[8*4096:]; slices.ContainsFunc(rest, func(v float32) bool { return v != 0 }) {
						t.Error("values beyond the channels of the structure")
					}
				}
				y = cut
			}
			compare(t, stored, stage, y, near)
		}
		familytest.CheckCUDA(t, src, 1)
	}
}

// shape returns the recorded decoders.
func shape(t *testing.T) (*inner.Tensors, weights.Source, family.Shaper) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/shape_vae", "trellis2")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil {
		t.Fatal(err)
	}
	return stored, src, v.(family.Shaper)
}

// few are the recorded cells with values of a name.
func few(name string) family.Cells {
	at := cells([]int{19}, 3)
	out := family.Cells{Values: normal(name, 19, 32)}
	for i := range 19 {
		for _, v := range at[4*i+1 : 4*i+4] {
			out.At = append(out.At, int32(v))
		}
	}
	return out
}

func floats(v []int32, width int) *tensor.Tensor {
	out := tensor.New(len(v)/width, width)
	for i, x := range v {
		out.Data[i] = float32(x)
	}
	return out
}

// TestDecodersEqualUpstream compares a mesh and how its cells were divided, colors of it, and the structure. Places and faces are equal.
func TestDecodersEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src, v := shape(t)
	exact := golden.Tolerance{MaxAbs: 1e-6}
	mesh, guides, err := v.DecodeShape(t.Context(), familytest.Runner{}, few("shape"), nil, 128)
	if err != nil {
		t.Fatal(err)
	}
	sizes := tensor.New(6)
	for i, g := range guides {
		sizes.Data[i] = float32(g.Count())
		compare(t, stored, "parts "+string(rune('0'+i)), g.Values, near)
		compare(t, stored, "places "+string(rune('0'+i)), floats(g.At, 3), exact)
	}
	sizes.Data[4], sizes.Data[5] = float32(len(mesh.Vertices)/3), float32(len(mesh.Faces)/3)
	compare(t, stored, "sizes", sizes, exact)
	compare(t, stored, "vertices", &tensor.Tensor{Shape: []int{len(mesh.Vertices) / 3, 3}, Data: mesh.Vertices}, near)
	compare(t, stored, "faces", floats(mesh.Faces, 3), exact)
	at, err := v.Divide(t.Context(), familytest.Runner{}, few("shape"), 4)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, stored, "divided", floats(at, 3), exact)
	dense, err := v.DecodeStructure(t.Context(), familytest.Runner{}, normal("z", 1, 8, 4, 6, 5))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, stored, "structure", &tensor.Tensor{Shape: append([]int{1, 1}, dense.Shape...), Data: dense.Data}, near)
	familytest.CheckCUDA(t, src, 2)

	stored, src = familytest.Recorded(t, "testdata/texture_vae", "trellis2")
	painter, err := family.Open(family.Default, src).VAE()
	if err != nil {
		t.Fatal(err)
	}
	painted, err := painter.(family.Painter).DecodeTexture(t.Context(), familytest.Runner{}, few("texture"), guides)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, stored, "colors", painted.Values, near)
	compare(t, stored, "places", floats(painted.At, 3), exact)
	familytest.CheckCUDA(t, src, 1)
}
