package ltxv_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/tokenizer"
)

// gemma4 are the shapes of a small file of 48 layers with a projection of their states.
func gemma4(out int) string {
	var b strings.Builder
	b.WriteString("model.embed_tokens.weight 40 16\nmodel.norm.weight 16\n")
	for i := range 48 {
		l, head, kv := fmt.Sprintf("model.layers.%d.", i), 8, 16
		if i%6 == 5 {
			head, kv = 16, 16
		} else {
			fmt.Fprintf(&b, "%sself_attn.v_proj.weight %d 16\n", l, kv)
		}
		for _, n := range []string{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"} {
			fmt.Fprintf(&b, "%s%s.weight 16\n", l, n)
		}
		fmt.Fprintf(&b, "%slayer_scalar 1\n%sself_attn.q_proj.weight %d 16\n%sself_attn.k_proj.weight %d 16\n%sself_attn.o_proj.weight 16 %d\n%sself_attn.q_norm.weight %d\n%sself_attn.k_norm.weight %d\n", l, l, 4*head, l, kv, l, 4*head, l, head, l, head)
		fmt.Fprintf(&b, "%smlp.gate_proj.weight 8 16\n%smlp.up_proj.weight 8 16\n%smlp.down_proj.weight 16 8\n", l, l, l)
	}
	fmt.Fprintf(&b, "text_embedding_projection.video_aggregate_embed.weight %d %d\ntext_embedding_projection.audio_aggregate_embed.weight 6 784\n", out, 49*16)
	return b.String()
}

// TestGemma4Projected: a file of Gemma 4 with a projection gives encodings of both streams side by side; the parts have goldens of their own.
func TestGemma4Projected(t *testing.T) {
	t.Parallel()
	src := familytest.Stored(dryrun.List(gemma4(10)), dtype.F32)
	e, err := family.Open(family.Default, src).Text()
	if err != nil || e.Key() != ltxv.KeyGemma4 {
		t.Fatalf("%v, %v", e, err)
	}
	if _, ok := e.(family.Generator); !ok {
		t.Error("it does not generate text")
	}
	found := false
	for _, s := range family.Default.Schemes() {
		if s.Name() != "LTX-Video 2.5" {
			continue
		}
		found = true
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			tokens := tokenizer.Tokens{{{ID: 0, Weight: 1}, {ID: 2, Weight: 1}, {ID: 5, Weight: 1}}}
			got, err := e.Encode(t.Context(), run, tokens, s.Encoders()[0].Options)
			if err != nil || !slices.Equal(got.Hidden.Shape, []int{1, 2, 16}) || got.Extra[ltxv.KeyUnconnected] != true {
				t.Errorf("%s: %v, %v; want two tokens of both streams", target.Compute, got, err)
			}
		}
		o := tokenizer.Options{}
		s.Encoders()[0].Layout(&o)
		if o.MinLength != 1024 {
			t.Errorf("prompts of %d tokens, want 1024", o.MinLength)
		}
	}
	if !found {
		t.Error("no scheme")
	}
	wrong := strings.Replace(gemma4(10), "audio_aggregate_embed.weight 6 784", "audio_aggregate_embed.weight 6 7", 1)
	if _, err := family.Open(family.Default, dryrun.List(wrong)).Text(); err == nil || !strings.Contains(err.Error(), "audio_aggregate_embed") {
		t.Errorf("a projection of another width: %v", err)
	}
}
