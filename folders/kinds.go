package folders

import "path/filepath"

// modelExts are the endings of files with weights, as upstream accepts them.
var modelExts = []string{".bin", ".ckpt", ".pkl", ".pt", ".pt2", ".pth", ".safetensors", ".sft"}

// ModelExtensions returns the endings of files with weights, sorted.
func ModelExtensions() []string { return append([]string(nil), modelExts...) }

// quantizedExts are the endings of the kinds that GGUF files are of, which upstream lists for a node pack only.
var quantizedExts = append([]string{".gguf"}, modelExts...)

// defaults is the table of kinds in upstream's order. Folders are below the models folder; a kind without folders has
// the one of its own name; a nil list of extensions means modelExts.
var defaults = []struct {
	name    string
	folders []string
	exts    []string
	inBase  bool // below the base folder instead
}{
	{name: "checkpoints"},
	{name: "configs", exts: []string{".yaml"}},
	{name: "loras"},
	{name: "vae"},
	{name: "text_encoders", folders: []string{"text_encoders", "clip"}, exts: quantizedExts},
	{name: "diffusion_models", folders: []string{"unet", "diffusion_models"}, exts: quantizedExts},
	{name: "clip_vision"},
	{name: "style_models"},
	{name: "embeddings"},
	{name: "diffusers", exts: []string{"folder"}},
	{name: "vae_approx"},
	{name: "controlnet", folders: []string{"controlnet", "t2i_adapter"}},
	{name: "gligen"},
	{name: "upscale_models"},
	{name: "latent_upscale_models"},
	{name: "custom_nodes", inBase: true, exts: []string{}},
	{name: "datasets", inBase: true, exts: []string{}},
	{name: "hypernetworks"},
	{name: "photomaker"},
	{name: "classifiers", exts: []string{""}},
	{name: "model_patches"},
	{name: "audio_encoders"},
	{name: "background_removal"},
	{name: "frame_interpolation"},
	{name: "geometry_estimation"},
	{name: "optical_flow"},
	{name: "detection"},
}

// outputKinds are the kinds that nodes save into the output folder; those folders are searched last.
var outputKinds = []struct{ kind, folder string }{
	{"checkpoints", "checkpoints"},
	{"text_encoders", "clip"},
	{"vae", "vae"},
	{"diffusion_models", "diffusion_models"},
	{"loras", "loras"},
}

// legacy maps the names that old workflows and YAML files use for a kind.
func legacy(kind string) string {
	switch kind {
	case "unet":
		return "diffusion_models"
	case "clip":
		return "text_encoders"
	}
	return kind
}

func (f *Folders) addDefaults() {
	for _, d := range defaults {
		root, names := f.models, d.folders
		if d.inBase {
			root = f.base
		}
		if names == nil {
			names = []string{d.name}
		}
		k := f.kind(d.name)
		for _, n := range names {
			k.roots = append(k.roots, filepath.Join(root, n))
		}
		if k.exts = d.exts; d.exts == nil {
			k.exts = modelExts
		}
	}
}
