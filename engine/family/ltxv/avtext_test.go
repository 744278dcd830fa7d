package ltxv_test

import (
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

func openProjection(t *testing.T, src weights.Source) family.Follower {
	t.Helper()
	e, err := family.Open(family.Default, src).Text()
	if err != nil {
		t.Fatal(err)
	}
	return e.(family.Follower)
}

// TestProjectionEqualsUpstream compares the projections of all layers' states in the forms of 2.0 and 2.3; torch's own error in float32 is
// about 3e-7.
func TestProjectionEqualsUpstream(t *testing.T) {
	t.Parallel()
	mask := &tensor.Tensor{Shape: []int{1, 9}, Data: []float32{0, 0, 1, 1, 1, 1, 1, 1, 1}}
	for _, form := range []string{"text20", "text23"} {
		stored, src := familytest.Recorded(t, "testdata/"+form, form)
		p := openProjection(t, src)
		states := func() family.Encoding {
			return family.Encoding{Hidden: golden.Normal(form+"/states", 1, 4, 9, 6), Mask: mask}
		}
		e, err := p.Follow(t.Context(), familytest.Runner{}, states())
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, "out", e.Hidden, golden.Tolerance{RMSRel: 3e-6})
		if raw, _ := e.Extra[ltxv.KeyUnconnected].(bool); !raw || e.Mask != nil {
			t.Errorf("%s: %v and a mask %v beside the encoding", form, e.Extra, e.Mask)
		}
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := p.Follow(t.Context(), run, states()); err != nil || run.Err != nil {
				t.Errorf("%s: %v, %v", form, err, run.Err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

// TestProjectionOf20 finds the connectors that upstream runs in the text encoder, beside the projection of version 2.0 alone.
func TestProjectionOf20(t *testing.T) {
	t.Parallel()
	const below = "model.diffusion_model."
	list := "text_embedding_projection.aggregate_embed.weight 3840 24\n"
	for _, name := range []string{"video_embeddings_connector", "audio_embeddings_connector"} {
		list += below + name + ".learnable_registers 128 3840\n"
		for _, part := range []string{"to_q", "to_k", "to_v", "to_out.0"} {
			list += below + name + ".transformer_1d_blocks.0.attn1." + part + ".weight 3840 3840\n" + below + name + ".transformer_1d_blocks.0.attn1." + part + ".bias 3840\n"
		}
		list += below + name + ".transformer_1d_blocks.0.attn1.q_norm.weight 3840\n" + below + name + ".transformer_1d_blocks.0.attn1.k_norm.weight 3840\n" +
			below + name + ".transformer_1d_blocks.0.ff.net.0.proj.weight 15360 3840\n" + below + name + ".transformer_1d_blocks.0.ff.net.2.weight 3840 15360\n"
	}
	for name, c := range map[string]struct {
		list   string
		graphs int
		width  int
	}{
		"early":   {list, 3, 7680},
		"another": {strings.ReplaceAll(list, "blocks.0", "blocks.2"), 1, 3840},
	} {
		p := openProjection(t, dryrun.List(c.list))
		run := &dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}
		e, err := p.Follow(t.Context(), run, family.Encoding{Hidden: tensor.New(1, 4, 9, 6)})
		if err != nil || run.Err != nil || len(run.Graphs) != c.graphs || e.Hidden.Dim(2) != c.width {
			t.Errorf("%s: %v, %v, %d graphs, %v", name, err, run.Err, len(run.Graphs), e.Hidden)
		}
	}
}

func TestProjectionRefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/text20", "text20")
	p := openProjection(t, src)
	none := &tensor.Tensor{Shape: []int{1, 9}, Data: make([]float32, 9)}
	for name, c := range map[string]struct {
		e    family.Encoding
		want string
	}{
		"another language model": {family.Encoding{Hidden: tensor.New(1, 4, 9, 7)}, "Gemma 3 12B"},
		"one layer":              {family.Encoding{Hidden: tensor.New(1, 9, 24)}, "Gemma 3 12B"},
		"padding alone":          {family.Encoding{Hidden: tensor.New(1, 4, 9, 6), Mask: none}, "no tokens"},
	} {
		if _, err := p.Follow(t.Context(), familytest.Runner{}, c.e); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := p.Tokenize("", family.TokenizeOptions{}); err == nil {
		t.Error("a prompt: no error")
	}
	if _, err := family.Open(family.Default, dryrun.List("text_embedding_projection.video_aggregate_embed.weight 4 6\ntext_embedding_projection.audio_aggregate_embed.weight 4 7\n")).Text(); err == nil {
		t.Error("two widths: no error")
	}
}
