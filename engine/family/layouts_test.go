package family_test

import (
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/weights"
)

const plainVAE = `decoder.conv_in.weight 32 4 3 3
decoder.mid.block_1.norm1.weight 32
decoder.up.0.block.0.norm1.weight 32
decoder.up.1.block.0.norm1.weight 32
`

// TestLayoutsAndWrappers finds the same VAE in the layouts and below the wrappers that files have.
func TestLayoutsAndWrappers(t *testing.T) {
	t.Parallel()
	diffusers := strings.NewReplacer("mid.block_1", "mid_block.resnets.0", "up.0.block", "up_blocks.1.resnets", "up.1.block", "up_blocks.0.resnets").Replace(plainVAE)
	for name, file := range map[string]string{
		"plain": plainVAE, "diffusers": diffusers, "module": under("module.", plainVAE), "state_dict and module": under("state_dict.module.", diffusers),
		"beside others": under("model.", plainVAE) + "optimizer.step 1\n",
	} {
		v, err := family.Open(family.Default, dryrun.List(file)).VAE()
		if err != nil || v == nil || v.Info().Downscale != 2 || v.Info().Channels != 4 {
			t.Errorf("%s: found %+v, %v", name, v, err)
			continue
		}
		s := weights.NewScope(v.Weights()[0])
		if s.Weight("decoder.up.1.block.0.norm1.weight", 32); s.Err() != nil {
			t.Errorf("%s: %v", name, s.Err())
		}
	}
	_, _, err := family.Open(family.Default, dryrun.List("net.something.weight 3\n")).Diffusion()
	if err == nil || !strings.Contains(err.Error(), "net (1)") {
		t.Errorf("error %v does not tell what is in the file", err)
	}
}
