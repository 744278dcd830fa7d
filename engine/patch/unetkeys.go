package patch

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/weights"
)

// unetResnet and unetAttention translate the layers of a U-Net's blocks into the names that diffusers gives them.
var (
	unetResnet = [][2]string{
		{"in_layers.2", "conv1"},
		{"emb_layers.1", "time_emb_proj"},
		{"out_layers.3", "conv2"},
		{"skip_connection", "conv_shortcut"},
		{"in_layers.0", "norm1"},
		{"out_layers.0", "norm2"},
	}
	unetBasic = [][2]string{
		{"label_emb.0.0", "class_embedding.linear_1"},
		{"label_emb.0.2", "class_embedding.linear_2"},
		{"label_emb.0.0", "add_embedding.linear_1"},
		{"label_emb.0.2", "add_embedding.linear_2"},
		{"input_blocks.0.0", "conv_in"},
		{"out.0", "conv_norm_out"},
		{"out.2", "conv_out"},
		{"time_embed.0", "time_embedding.linear_1"},
		{"time_embed.2", "time_embedding.linear_2"},
	}
)

// UNetNames reports which names of U-Net layers a KeyMap takes beyond those of ComfyUI 0.33.
type UNetNames struct {
	// PEFT adds the names that current diffusers and PEFT write for attention layers ("unet.….attn1.to_q", "base_model.model.…"),
	// which ComfyUI 0.33 leaves out of its map: it applies the other layers of such a file and logs these.
	PEFT bool
}

// AddUNet adds the names of a U-Net whose blocks are called input_blocks, middle_block and output_blocks: the generic ones,
// and those of diffusers and kohya. The block structure is read off the names of src. (Upstream: comfy/lora.py
// model_lora_keys_unet, comfy/utils.py unet_to_diffusers.)
func (m *KeyMap) AddUNet(part string, src weights.Source, also UNetNames) {
	m.AddGeneric(part, src.Names())
	w := unetWalk{has: map[string]bool{}}
	for _, n := range src.Names() {
		if layer, ok := stem(n); ok {
			w.has[layer] = true
		}
	}
	w.walk()
	for _, p := range w.pairs {
		layer, name := p[0], p[1]
		key := part + layer + ".weight"
		m.AddKey("lora_unet_"+underscored(name), key)
		m.AddKey("lycoris_"+underscored(name), key)
		old := strings.ReplaceAll(name, ".to_", ".processor.to_")
		if strings.HasSuffix(old, ".to_out.0") {
			old = strings.TrimSuffix(old, ".0")
		}
		m.AddKey(old, key)
		m.AddKey("unet."+old, key)
		if also.PEFT {
			for _, prefix := range []string{"unet.", "base_model.model.", "unet.base_model.model.", ""} {
				m.AddKey(prefix+name, key)
			}
		}
	}
}

// unetWalk pairs the layers of a U-Net with diffusers' names of them.
type unetWalk struct {
	has   map[string]bool // layers that have a weight
	pairs [][2]string
}

func (w *unetWalk) add(layer, name string) {
	if w.has[layer] {
		w.pairs = append(w.pairs, [2]string{layer, name})
	}
}

func (w *unetWalk) resnet(block, name string) {
	for _, p := range unetResnet {
		w.add(block+"."+p[0], name+"."+p[1])
	}
}

// attention adds every layer below block, which diffusers calls by the same names.
func (w *unetWalk) attention(block, name string) {
	var layers []string
	for l := range w.has {
		if rest, ok := strings.CutPrefix(l, block+"."); ok {
			layers = append(layers, rest)
		}
	}
	slices.Sort(layers)
	for _, l := range layers {
		w.add(block+"."+l, name+"."+l)
	}
}

func (w *unetWalk) walk() {
	w.down()
	w.resnet("middle_block.0", "mid_block.resnets.0")
	w.attention("middle_block.1", "mid_block.attentions.0")
	w.resnet("middle_block.2", "mid_block.resnets.1")
	w.up()
	for _, p := range unetBasic {
		w.add(p[0], p[1])
	}
}

// down walks the input blocks: a block with "op" ends its level.
func (w *unetWalk) down() {
	level, i := 0, 0
	for n := 1; ; n++ {
		block := fmt.Sprintf("input_blocks.%d", n)
		switch {
		case w.has[block+".0.op"]:
			w.add(block+".0.op", fmt.Sprintf("down_blocks.%d.downsamplers.0.conv", level))
			level, i = level+1, 0
		case w.has[block+".0.in_layers.2"]:
			w.resnet(block+".0", fmt.Sprintf("down_blocks.%d.resnets.%d", level, i))
			w.attention(block+".1", fmt.Sprintf("down_blocks.%d.attentions.%d", level, i))
			i++
		default:
			return
		}
	}
}

// up walks the output blocks: a block with an upsampling convolution, its last layer, ends its level.
func (w *unetWalk) up() {
	level, i := 0, 0
	for n := 0; ; n++ {
		block := fmt.Sprintf("output_blocks.%d", n)
		if !w.has[block+".0.in_layers.2"] {
			return
		}
		w.resnet(block+".0", fmt.Sprintf("up_blocks.%d.resnets.%d", level, i))
		if w.has[block+".1.proj_in"] {
			w.attention(block+".1", fmt.Sprintf("up_blocks.%d.attentions.%d", level, i))
		}
		i++
		for _, at := range []string{".1.conv", ".2.conv"} {
			if w.has[block+at] {
				w.add(block+at, fmt.Sprintf("up_blocks.%d.upsamplers.0.conv", level))
				level, i = level+1, 0
			}
		}
	}
}
