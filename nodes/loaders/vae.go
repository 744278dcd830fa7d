package loaders

import (
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/folders"
	"comfygo/nodes"
)

func init() { nodes.Register(&VAELoader{}) }

// VAELoader opens a file that holds only a VAE, or a TAESD by its name.
type VAELoader struct {
	Name string `in:"vae_name" choices:"vae" folder:"vae"`
}

// Spec implements nodes.Node.
func (*VAELoader) Spec() nodes.Spec {
	return nodes.Spec{Name: "VAELoader", DisplayName: "Load VAE", Category: "model/loaders", Outputs: nodes.Outputs("VAE"), Uses: nodes.UsesDevice}
}

// pixelSpace is the list's entry for no VAE: latents are images.
const pixelSpace = "pixel_space"

// approximate is the folder of small stand-ins for VAEs.
const approximate = "vae_approx"

// videoTinyVAEs are the prefixes of the names of small video VAEs, which are in the folder vae_approx as well.
var videoTinyVAEs = []string{"taehv", "lighttaew2_2", "lighttaew2_1", "lighttaehy1_5", "taeltx_2", "taeh3"}

// Choices implements nodes.Chooser: the files of the folder vae, what is whole in vae_approx, and the pixel space.
func (*VAELoader) Choices(env nodes.Env, _ string) []any {
	var out []any
	if env.Folders != nil {
		for _, name := range env.Folders.List("vae") {
			out = append(out, name)
		}
		out = append(out, approximateVAEs(env.Folders)...)
	}
	return append(out, pixelSpace)
}

// approximateVAEs lists small video VAEs by file, and by name the image TAESDs with both halves.
func approximateVAEs(f *folders.Folders) []any {
	var out []any
	halves := map[string]map[string]bool{}
	for _, file := range f.List(approximate) {
		name, half, split := strings.Cut(file, "_")
		if !split || !slices.Contains(engine.ApproximateVAEs(), name) {
			if isVideoTiny(file) {
				out = append(out, file)
			}
			continue
		}
		if halves[name] == nil {
			halves[name] = map[string]bool{}
		}
		half, _, _ = strings.Cut(half, ".")
		halves[name][half] = true
	}
	for _, name := range engine.ApproximateVAEs() {
		if halves[name]["encoder"] && halves[name]["decoder"] {
			out = append(out, name)
		}
	}
	return out
}

func isVideoTiny(file string) bool {
	return slices.ContainsFunc(videoTinyVAEs, func(start string) bool { return strings.HasPrefix(file, start) })
}

// Run implements nodes.Node.
func (n *VAELoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Name == pixelSpace {
		return nodes.Out(ctx.Engine.PixelSpace()), nil
	}
	if slices.Contains(engine.ApproximateVAEs(), n.Name) {
		return loadTiny(ctx, n.Name)
	}
	kind := "vae"
	if slices.Contains(videoTinyVAEs, strings.TrimSuffix(n.Name, filepath.Ext(n.Name))) {
		kind = approximate
	}
	path, err := find(ctx, kind, n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	v, err := ctx.Engine.LoadVAE(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(v), nil
}

// loadTiny opens the two files of a TAESD.
func loadTiny(ctx *nodes.Context, name string) (nodes.Result, error) {
	var paths [2]string
	for i, half := range []string{"encoder", "decoder"} {
		start := name + "_" + half + "."
		files := ctx.Folders.List(approximate)
		at := slices.IndexFunc(files, func(f string) bool { return strings.HasPrefix(f, start) })
		if at < 0 {
			return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the TAESD %s: there is no file %s* in the folder %s", name, start, approximate)
		}
		var err error
		if paths[i], err = find(ctx, approximate, files[at]); err != nil {
			return nodes.Result{}, err
		}
	}
	v, err := ctx.Engine.LoadApproximateVAE(name, paths[0], paths[1])
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(v), nil
}

var _ nodes.Chooser = (*VAELoader)(nil)
