package main

import "fmt"

// vaeWidths are the channels of the VAE's levels, the finest first.
var vaeWidths = []int{128, 256, 512, 512}

// vae is the VAE that Stable Diffusion and SDXL share.
func vae() *network {
	n := &network{prefix: "first_stage_model."}
	top := vaeWidths[len(vaeWidths)-1]
	n.conv("encoder.conv_in", vaeWidths[0], 3, 3)
	width := vaeWidths[0]
	for i, w := range vaeWidths {
		level := fmt.Sprintf("encoder.down.%d.", i)
		width = n.vaeLevel(level, 2, width, w)
		if i < len(vaeWidths)-1 {
			n.conv(level+"downsample.conv", width, width, 3)
		}
	}
	n.vaeMiddle("encoder.", width)
	n.norm("encoder.norm_out", width)
	n.conv("encoder.conv_out", 8, width, 3)
	n.conv("decoder.conv_in", top, 4, 3)
	width = top
	n.vaeMiddle("decoder.", width)
	for i := len(vaeWidths) - 1; i >= 0; i-- {
		level := fmt.Sprintf("decoder.up.%d.", i)
		width = n.vaeLevel(level, 3, width, vaeWidths[i])
		if i > 0 {
			n.conv(level+"upsample.conv", width, width, 3)
		}
	}
	n.norm("decoder.norm_out", width)
	n.conv("decoder.conv_out", 3, width, 3)
	n.conv("quant_conv", 8, 8, 1)
	n.conv("post_quant_conv", 4, 4, 1)
	return n
}

// vaeLevel adds the residual blocks of a level and returns their width.
func (n *network) vaeLevel(level string, blocks, in, out int) int {
	for k := range blocks {
		in = n.vaeBlock(fmt.Sprintf("%sblock.%d", level, k), in, out)
	}
	return in
}

func (n *network) vaeBlock(name string, in, out int) int {
	n.norm(name+".norm1", in)
	n.conv(name+".conv1", out, in, 3)
	n.norm(name+".norm2", out)
	n.conv(name+".conv2", out, out, 3)
	if in != out {
		n.conv(name+".nin_shortcut", out, in, 1)
	}
	return out
}

func (n *network) vaeMiddle(half string, width int) {
	n.vaeBlock(half+"mid.block_1", width, width)
	n.norm(half+"mid.attn_1.norm", width)
	for _, p := range []string{"q", "k", "v", "proj_out"} {
		n.conv(half+"mid.attn_1."+p, width, width, 1)
	}
	n.vaeBlock(half+"mid.block_2", width, width)
}
