package family_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
)

// FuzzDetect detects models in random names and shapes and writes their graphs: errors are allowed, panics are not.
func FuzzDetect(f *testing.F) {
	for _, seed := range []string{
		"conv_first.weight 32 12 3 3\nconv_first.bias 32\nbody.0.rdb1.conv1.weight 32 32 3 3\nbody.0.rdb1.conv5.weight 32 160 3 3\nconv_body.weight 32 32 3 3\nconv_up1.weight 32 32 3 3\nconv_hr.weight 32 32 3 3\nconv_last.weight 3 32 3 3\n",
		"model.0.weight 32 3 3 3\nmodel.1.sub.0.RDB1.conv1.0.weight 32 32 3 3\nmodel.1.sub.1.weight 32 32 3 3\nmodel.3.weight 32 32 3 3\nmodel.5.weight 32 32 3 3\nmodel.7.weight 3 32 3 3\n",
		"body.0.weight 32 3 3 3\nbody.1.weight 32\nbody.2.weight 12 32 3 3\nbody.2.bias 12\n",
		"control_model.zero_convs.0.0.weight 320 320 1 1\ncontrol_model.input_blocks.0.0.weight 320 4 3 3\ncontrol_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768\ncontrol_model.input_hint_block.0.weight 16 3 3 3\ncontrol_model.input_blocks.1.0.in_layers.2.weight 320 320 3 3\n",
		"controlnet_cond_embedding.conv_in.weight 16 3 3 3\ncontrolnet_down_blocks.0.weight 320 320 1 1\nconv_in.weight 320 4 3 3\ndown_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight 320 768\ndown_blocks.0.resnets.0.conv1.weight 320 320 3 3\n",
		"model.diffusion_model.input_blocks.0.0.weight 320 4 3 3\nmodel.diffusion_model.out.2.weight 4 320 3 3\nmodel.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight 320 768\nmodel.diffusion_model.output_blocks.0.0.in_layers.2.weight 320 640 3 3\n",
		"first_stage_model.decoder.conv_in.weight 512 4 3 3\nfirst_stage_model.decoder.mid.block_1.norm1.weight 512\nfirst_stage_model.decoder.up.0.block.0.conv1.weight 128 128 3 3\n",
		"text_model.encoder.layers.0.mlp.fc1.weight 3072 768\ntext_model.embeddings.token_embedding.weight 100 768\n",
		"taesd_decoder.1.weight 64 4 3 3\ntaesd_decoder.3.conv.0.weight 64 64 3 3\ntaesd_encoder.0.weight 64 3 3 3\ntaesd_encoder.1.conv.0.weight 64 64 3 3\ntaesd_encoder.14.weight 4 64 3 3\n",
	} {
		f.Add(seed, 0)
		f.Add(seed, 16)
	}
	f.Fuzz(func(t *testing.T, text string, block int) {
		if block != 8 && block != 16 {
			block = 0
		}
		run := &dryrun.Runner{Spec: family.Spec{Target: nn.Target{Compute: dtype.F32, Block: block}}}
		dryrun.Exercise(t.Context(), family.Open(family.Default, dryrun.List(text)), run)
	})
}
