package engine_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// twoBlocks writes one ControlNet with two residual blocks per level to two files, in its own layout and in that of
// diffusers. It is built from the parts of a ControlNet with one block per level.
func twoBlocks(t *testing.T, path string) (own, diffusers string) {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var a, b []safetensors.Tensor
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		for _, p := range controlParts {
			rest, ok := strings.CutPrefix(name, "control_model."+p.from)
			if !ok {
				continue
			}
			tensor := safetensors.Tensor{Name: p.own + rest, DType: e.DType, Shape: e.Shape, Data: e.Data}
			a = append(a, tensor)
			if strings.Contains(p.diffusers, "resnets") {
				rest = residualName.Replace(rest)
			}
			tensor.Name = p.diffusers + rest
			b = append(b, tensor)
		}
	}
	dir := t.TempDir()
	own, diffusers = filepath.Join(dir, "own.safetensors"), filepath.Join(dir, "diffusers.safetensors")
	if err := errors.Join(safetensors.Save(own, nil, a), safetensors.Save(diffusers, nil, b)); err != nil {
		t.Fatal(err)
	}
	return own, diffusers
}

var residualName = strings.NewReplacer("in_layers.0.", "norm1.", "in_layers.2.", "conv1.", "emb_layers.1.", "time_emb_proj.",
	"out_layers.0.", "norm2.", "out_layers.3.", "conv2.", "skip_connection.", "conv_shortcut.")

// controlParts are the beginnings of names: in the file at hand, and in the two layouts.
var controlParts = []struct{ from, own, diffusers string }{
	{"time_embed.0.", "time_embed.0.", "time_embedding.linear_1."},
	{"time_embed.2.", "time_embed.2.", "time_embedding.linear_2."},
	{"input_blocks.0.0.", "input_blocks.0.0.", "conv_in."},
	{"input_blocks.1.0.", "input_blocks.1.0.", "down_blocks.0.resnets.0."},
	{"input_blocks.1.1.", "input_blocks.1.1.", "down_blocks.0.attentions.0."},
	{"input_blocks.1.0.", "input_blocks.2.0.", "down_blocks.0.resnets.1."},
	{"input_blocks.1.1.", "input_blocks.2.1.", "down_blocks.0.attentions.1."},
	{"input_blocks.2.0.op.", "input_blocks.3.0.op.", "down_blocks.0.downsamplers.0.conv."},
	{"input_blocks.3.0.", "input_blocks.4.0.", "down_blocks.1.resnets.0."},
	{"input_blocks.3.1.", "input_blocks.4.1.", "down_blocks.1.attentions.0."},
	{"middle_block.0.", "input_blocks.5.0.", "down_blocks.1.resnets.1."},
	{"middle_block.1.", "input_blocks.5.1.", "down_blocks.1.attentions.1."},
	{"zero_convs.0.0.", "zero_convs.0.0.", "controlnet_down_blocks.0."},
	{"zero_convs.1.0.", "zero_convs.1.0.", "controlnet_down_blocks.1."},
	{"zero_convs.2.0.", "zero_convs.2.0.", "controlnet_down_blocks.2."},
	{"zero_convs.0.0.", "zero_convs.3.0.", "controlnet_down_blocks.3."},
	{"zero_convs.3.0.", "zero_convs.4.0.", "controlnet_down_blocks.4."},
	{"zero_convs.3.0.", "zero_convs.5.0.", "controlnet_down_blocks.5."},
	{"input_hint_block.0.", "input_hint_block.0.", "controlnet_cond_embedding.conv_in."},
	{"input_hint_block.2.", "input_hint_block.2.", "controlnet_cond_embedding.blocks.0."},
	{"input_hint_block.4.", "input_hint_block.4.", "controlnet_cond_embedding.blocks.1."},
	{"input_hint_block.6.", "input_hint_block.6.", "controlnet_cond_embedding.blocks.2."},
	{"input_hint_block.8.", "input_hint_block.8.", "controlnet_cond_embedding.blocks.3."},
	{"input_hint_block.10.", "input_hint_block.10.", "controlnet_cond_embedding.blocks.4."},
	{"input_hint_block.12.", "input_hint_block.12.", "controlnet_cond_embedding.blocks.5."},
	{"input_hint_block.14.", "input_hint_block.14.", "controlnet_cond_embedding.conv_out."},
	{"middle_block.0.", "middle_block.0.", "mid_block.resnets.0."},
	{"middle_block.1.", "middle_block.1.", "mid_block.attentions.0."},
	{"middle_block.2.", "middle_block.2.", "mid_block.resnets.1."},
	{"middle_block_out.0.", "middle_block_out.0.", "controlnet_mid_block."},
}

// TestControlNetOfDiffusers compares the two layouts of one network.
func TestControlNetOfDiffusers(t *testing.T) {
	t.Parallel()
	var results [2][]*tensor.Tensor
	own, diffusers := twoBlocks(t, golden.Checkpoint(t, "controlnet-sd15"))
	for i, path := range []string{own, diffusers} {
		net, err := shared.LoadControlNet(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.With(golden.Image("hint", 1, 64, 80, 3), engine.ControlOptions{Strength: 1, End: 1})
		if err != nil {
			t.Fatal(err)
		}
		in := sampling.Inputs{List: sampling.Text(golden.Normal("control-context", 1, 77, 768)).List, Entries: 1}
		if results[i], err = c.Residuals(t.Context(), golden.Normal("control-x", 1, 4, 8, 10), []float32{500}, in); err != nil {
			t.Fatal(err)
		}
	}
	const blocks = 6
	if len(results[0]) != blocks+1 || len(results[1]) != blocks+1 {
		t.Fatalf("%d and %d results", len(results[0]), len(results[1]))
	}
	for i, want := range results[0] {
		if !slices.Equal(results[1][i].Data, want.Data) {
			t.Errorf("result %d: %v", i, golden.Difference(results[1][i].Data, want.Data))
		}
	}
}

// steer predicts with a control, at a sigma.
func steer(t *testing.T, m *engine.Model, c *engine.Control, sigma float32) []float32 {
	t.Helper()
	x := golden.Normal("control-x", 2, 4, 8, 10)
	in := sampling.Inputs{List: sampling.Text(golden.Normal("control-context", 2, 77, 768)).List, Sigma: sigma, Entries: 2}
	if c != nil {
		in.Control = c
	}
	time := m.Sampling().Timestep(sigma)
	y, err := m.Predict(t.Context(), x, []float32{time, time}, in)
	if err != nil {
		t.Fatal(err)
	}
	return y.Data
}

func TestControlNet(t *testing.T) {
	t.Parallel()
	path := golden.Checkpoint(t, "controlnet-sd15")
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	net, err := shared.LoadControlNet(path)
	if err != nil {
		t.Fatal(err)
	}
	with := func(n *engine.ControlNet, strength, start, end float64, previous *engine.Control) *engine.Control {
		c, err := n.With(golden.Image("hint", 1, 50, 70, 3), engine.ControlOptions{Strength: strength, Start: start, End: end, Previous: previous})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const sigma = 2
	plain, steered := steer(t, m, nil, sigma), steer(t, m, with(net, 0.7, 0, 1, nil), sigma)
	if slices.Equal(plain, steered) {
		t.Error("the ControlNet changes nothing")
	}
	if got := steer(t, m, with(net, 0.7, 0, 0.1, nil), sigma); !slices.Equal(got, plain) {
		t.Error("it acts after its end")
	}
	if got := steer(t, m, with(net, 0.7, 0.95, 1, nil), sigma); !slices.Equal(got, plain) {
		t.Error("it acts before its start")
	}
	// Half the strength twice is the same as the whole, except for the order of the additions.
	golden.Compare(t, "two controls", steer(t, m, with(net, 0.35, 0, 1, with(net, 0.35, 0, 1, nil)), sigma), steered, fp32)
	if got := steer(t, m, with(net, 0.7, 0.95, 1, with(net, 0.7, 0, 1, nil)), sigma); !slices.Equal(got, steered) {
		t.Error("one that does not act keeps the one before it from acting")
	}
}

func TestControlNetWrong(t *testing.T) {
	t.Parallel()
	path := golden.Checkpoint(t, "controlnet-sd15")
	net, err := shared.LoadControlNet(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][]int{{1, 8, 8, 1}, {1, 8, 8, 4}, {8, 8, 3}, {0, 8, 8, 3}} {
		if _, err := net.With(tensor.New(shape...), engine.ControlOptions{Strength: 1, End: 1}); err == nil {
			t.Errorf("images of %v were taken", shape)
		}
	}
	if _, err := shared.LoadModel(path, dtype.Invalid); err == nil || !strings.Contains(err.Error(), "no diffusion model") {
		t.Errorf("a ControlNet as a model: %v", err)
	}
	if _, err := shared.LoadControlNet(golden.Checkpoint(t, "sd15-small")); err == nil {
		t.Error("a model was taken for a ControlNet")
	}
	short := renamed(t, path, nil, func(n string) string {
		return strings.Replace(n, "control_model.input_blocks.3.", "control_model.unknown.", 1)
	})
	if net, err = shared.LoadControlNet(short); err != nil {
		return
	}
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.With(tensor.New(1, 64, 64, 3), engine.ControlOptions{Strength: 1, End: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Predict(t.Context(), tensor.New(1, 4, 8, 8), []float32{500}, sampling.Inputs{List: sampling.Text(tensor.New(1, 77, 768)).List, Sigma: 2, Entries: 1, Control: c})
	if err == nil {
		t.Error("a ControlNet with a block less steers the model")
	}
}

// adapterRows are the tensors of a T2I-Adapter whose first feature has the given width, for blocks of pixels of a side.
func adapterRows(width, side int) []row {
	rows := []row{{"conv_in.weight", []int{width, 3 * side * side, 3, 3}}, {"conv_in.bias", []int{width}}}
	in := width
	for i, by := range []int{1, 2, 4, 4} {
		out := width * by
		for j := range 2 {
			at := fmt.Sprintf("body.%d.", 2*i+j)
			if in != out {
				rows = append(rows, row{at + "in_conv.weight", []int{out, in, 1, 1}}, row{at + "in_conv.bias", []int{out}})
			}
			rows = append(rows, row{at + "block1.weight", []int{out, out, 3, 3}}, row{at + "block1.bias", []int{out}}, row{at + "block2.weight", []int{out, out, 1, 1}}, row{at + "block2.bias", []int{out}})
			in = out
		}
	}
	return rows
}

// TestAdapterThatPartlyFits: of a T2I-Adapter what does not fit the model is left out, with another model too after it ran, and the client is told.
func TestAdapterThatPartlyFits(t *testing.T) {
	t.Parallel()
	narrow, err := shared.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		width, side  int
		narrow, wide string
	}{
		{128, 16, "3 of 4 features of the ControlNet ", "has no effect on the Stable Diffusion 1.x model"},
		{64, 8, "which is for Stable Diffusion 1.x, has no effect", "which is for Stable Diffusion 1.x, has no effect"},
	} {
		net, err := shared.LoadControlNet(hollow(t, "adapter", adapterRows(c.width, c.side)...))
		if err != nil {
			t.Fatal(err)
		}
		control, err := net.With(tensor.New(1, 64, 64, 3), engine.ControlOptions{Strength: 1, End: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, on := range []struct {
			m     *engine.Model
			width int
			want  string
		}{{narrow, 40, c.narrow}, {wide, 768, c.wide}} {
			var told []string
			ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
			in := sampling.Inputs{List: sampling.Text(golden.Normal("control-context", 1, 77, on.width)).List, Sigma: 2, Entries: 1}
			predict := func() []float32 {
				t.Helper()
				y, err := on.m.Predict(ctx, golden.Normal("control-x", 1, 4, 8, 8), []float32{500}, in)
				if err != nil {
					t.Fatal(err)
				}
				return y.Data
			}
			plain := predict()
			in.Control = control
			golden.Compare(t, "an adapter of zeros", predict(), plain, fp32)
			if len(told) != 1 || !strings.Contains(told[0], on.want) || !strings.Contains(told[0], "adapter.safetensors") {
				t.Errorf("width %d, blocks of %d: told %q, want %q", c.width, c.side, told, on.want)
			}
		}
	}
}
