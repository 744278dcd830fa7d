package loaders

import (
	"comfygo/folders"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&UnetLoaderGGUF{})
	nodes.Register(&CLIPLoaderGGUF{})
	nodes.Register(&DualCLIPLoaderGGUF{})
	nodes.Register(&TripleCLIPLoaderGGUF{})
}

// moduleGGUF is the node pack whose class names workflows use to load GGUF files. The core's loaders read
// them, too.
const moduleGGUF = "custom_nodes.ComfyUI-GGUF"

// isGGUF reports whether a file's name ends as those of GGUF files do.
func isGGUF(name string) bool { return folders.Ext(name) == ".gguf" }

// ggufSpec describes a loader of the pack.
func ggufSpec(name, display, description, output string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: display, Category: "bootleg", Module: moduleGGUF, Description: description,
		Outputs: nodes.Outputs(output), Uses: nodes.UsesDevice,
	}
}

// UnetLoaderGGUF loads a diffusion model from a GGUF file.
type UnetLoaderGGUF struct {
	Name string `in:"unet_name" choices:"unet" folder:"diffusion_models" tooltip:"GGUF file, from the folder models/diffusion_models."`
}

// Spec implements nodes.Node.
func (*UnetLoaderGGUF) Spec() nodes.Spec {
	return ggufSpec("UnetLoaderGGUF", "Unet Loader (GGUF)", "Loads a diffusion model from a GGUF file. Its weights stay quantized in memory.", "MODEL")
}

// Choices implements nodes.Chooser.
func (*UnetLoaderGGUF) Choices(env nodes.Env, _ string) []any {
	out := []any{}
	if env.Folders == nil {
		return out
	}
	for _, name := range env.Folders.List("diffusion_models") {
		if isGGUF(name) {
			out = append(out, name)
		}
	}
	return out
}

// Run implements nodes.Node.
func (n *UnetLoaderGGUF) Run(ctx *nodes.Context) (nodes.Result, error) {
	return (&UNETLoader{Name: n.Name, DType: "default"}).Run(ctx)
}

// CLIPLoaderGGUF loads a text encoder from a GGUF or another file.
type CLIPLoaderGGUF struct {
	Name string `in:"clip_name" files:"text_encoders" tooltip:"Weight file, from the folder models/text_encoders."`
	Type string `in:"type" options:"stable_diffusion|stable_cascade|sd3|stable_audio|mochi|ltxv|pixart|cosmos|lumina2|wan|hidream|chroma|ace|omnigen2|qwen_image|hunyuan_image|flux2|ovis|longcat_image|cogvideox|lens|pixeldit|ideogram4|boogu|krea2|joyimage|mage|minimax" tooltip:"Model family that the text encoder is for."`
}

// Spec implements nodes.Node.
func (*CLIPLoaderGGUF) Spec() nodes.Spec {
	return ggufSpec("CLIPLoaderGGUF", "CLIPLoader (GGUF)", "Loads a text encoder from a GGUF or safetensors file.", "CLIP")
}

// Run implements nodes.Node.
func (n *CLIPLoaderGGUF) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, n.Type, "", n.Name)
}

// DualCLIPLoaderGGUF loads two text encoders from GGUF or other files.
type DualCLIPLoaderGGUF struct {
	First  string `in:"clip_name1" files:"text_encoders" tooltip:"Weight file of one text encoder."`
	Second string `in:"clip_name2" files:"text_encoders" tooltip:"Weight file of the other text encoder."`
	Type   string `in:"type" options:"sdxl|sd3|flux|hunyuan_video|hidream|hunyuan_image|hunyuan_video_15|kandinsky5|kandinsky5_image|ltxv|newbie|ace" tooltip:"Model family that the text encoders are for."`
}

// Spec implements nodes.Node.
func (*DualCLIPLoaderGGUF) Spec() nodes.Spec {
	return ggufSpec("DualCLIPLoaderGGUF", "DualCLIPLoader (GGUF)", "Loads two text encoders from GGUF or safetensors files, in either order.", "CLIP")
}

// Run implements nodes.Node.
func (n *DualCLIPLoaderGGUF) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, n.Type, "", n.First, n.Second)
}

// TripleCLIPLoaderGGUF loads the three text encoders of Stable Diffusion 3 from GGUF or other files.
type TripleCLIPLoaderGGUF struct {
	First  string `in:"clip_name1" files:"text_encoders" tooltip:"Weight file of one text encoder."`
	Second string `in:"clip_name2" files:"text_encoders" tooltip:"Weight file of another text encoder."`
	Third  string `in:"clip_name3" files:"text_encoders" tooltip:"Weight file of the third text encoder."`
}

// Spec implements nodes.Node.
func (*TripleCLIPLoaderGGUF) Spec() nodes.Spec {
	return ggufSpec("TripleCLIPLoaderGGUF", "TripleCLIPLoader (GGUF)", "Loads the three text encoders of Stable Diffusion 3 from GGUF or safetensors files, in any order.", "CLIP")
}

// Run implements nodes.Node.
func (n *TripleCLIPLoaderGGUF) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, "sd3", "", n.First, n.Second, n.Third)
}
