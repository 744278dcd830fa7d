package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
	"comfygo/folders"
	"comfygo/nodes"
)

// LoadTrainingDataset reads an encoded dataset.
type LoadTrainingDataset struct {
	FolderName string `in:"folder_name" choices:"folder_name" tooltip:"Dataset below the datasets folders."`
}

// Spec implements nodes.Node.
func (*LoadTrainingDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadTrainingDataset", DisplayName: "Load Training Dataset", Category: "model/training",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "LATENT", Name: "latents", List: true, Tooltip: "The latents of all samples."}, {Type: "CONDITIONING", Name: "conditioning", List: true, Tooltip: "The conditioning of all samples."}},
		Experimental:  true,
		Description:   "Loads latents and conditioning that Save Training Dataset wrote.",
		SearchAliases: []string{"import dataset", "training data"},
	}
}

// Sizes implements nodes.Sizer.
func (*LoadTrainingDataset) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Choices implements nodes.Chooser.
func (*LoadTrainingDataset) Choices(env nodes.Env, _ string) []any {
	out := []any{}
	for _, name := range datasets(env.Folders) {
		out = append(out, name)
	}
	return out
}

// maxFolders bounds the folders that are looked through for datasets.
const maxFolders = 1 << 14

// datasets lists the folders below the datasets folders that have metadata or shards, by their path there. Links are followed, each
// folder once.
func datasets(f *folders.Folders) []string {
	if f == nil {
		return nil
	}
	var names []string
	for _, root := range f.Roots("datasets") {
		seen := map[string]bool{}
		var walk func(dir, name string)
		walk = func(dir, name string) {
			real, err := filepath.EvalSymlinks(dir)
			if err != nil || seen[real] || len(seen) >= maxFolders {
				return
			}
			seen[real] = true
			entries, err := os.ReadDir(dir)
			if err != nil {
				return
			}
			if name != "" && slices.ContainsFunc(entries, marksDataset) {
				names = append(names, name)
				return
			}
			for _, e := range entries {
				path := filepath.Join(dir, e.Name())
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					walk(path, strings.TrimPrefix(name+"/"+e.Name(), "/"))
				}
			}
		}
		walk(root, "")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func marksDataset(e os.DirEntry) bool {
	return e.Name() == metadataName || strings.HasSuffix(e.Name(), ".safetensors")
}

// folder returns the path of the dataset.
func (n *LoadTrainingDataset) folder(ctx *nodes.Context) (string, error) {
	for _, root := range ctx.Folders.Roots("datasets") {
		dir, err := datasetFolder(root, n.FolderName)
		if err != nil {
			return "", err
		}
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", nodes.Errorf("ValueError", "loading a dataset: there is no folder %q below the datasets folders", n.FolderName)
}

// Fingerprint changes with the shards.
func (n *LoadTrainingDataset) Fingerprint(ctx *nodes.Context) (any, error) {
	dir, err := n.folder(ctx)
	if err != nil {
		return nil, err
	}
	names, err := shardFiles(dir)
	if err != nil {
		return nil, nodes.Errorf("OSError", "loading the dataset %s: %w", n.FolderName, err)
	}
	state := []any{dir}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			state = append(state, name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return state, nil
}

// Run implements nodes.Node.
func (n *LoadTrainingDataset) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := n.folder(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	names, err := shardFiles(dir)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "loading the dataset %s: %w", n.FolderName, err)
	}
	if len(names) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "loading the dataset %s: it has no shard", n.FolderName)
	}
	var latents []engine.Latent
	var conditioning []engine.Conditioning
	r := &unpickler{reserve: ctx.Reserve}
	for i, name := range names {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nodes.Result{}, nodes.Errorf("OSError", "loading the dataset %s: %s is no regular file", n.FolderName, name)
		}
		err := weights.ReadTorch(path, func(v any) error {
			l, c, err := r.shard(v)
			latents, conditioning = append(latents, l...), append(conditioning, c...)
			return err
		})
		if err != nil {
			return nodes.Result{}, nodes.Errorf("UnpicklingError", "loading the dataset %s: %w", n.FolderName, err)
		}
		ctx.Progress(float64(i+1), float64(len(names)))
	}
	if len(r.dropped) > 0 {
		ctx.Warn("the dataset " + n.FolderName + " has values that are not used here: " + strings.Join(r.dropped, ", "))
	}
	return nodes.Out(latents, conditioning), nil
}

// shard reads the samples of a file.
func (r *unpickler) shard(v any) ([]engine.Latent, []engine.Conditioning, error) {
	d, ok := v.(*pickle.Dict)
	if !ok {
		return nil, nil, errors.New("it is no dict with latents and conditioning")
	}
	first, _ := d.Get("latents")
	second, _ := d.Get("conditioning")
	list, ok := first.([]any)
	texts, okToo := second.([]any)
	if !ok || !okToo {
		return nil, nil, errors.New("it has no lists latents and conditioning")
	}
	latents, conditioning := make([]engine.Latent, len(list)), make([]engine.Conditioning, len(texts))
	for i, e := range list {
		var err error
		if latents[i], err = r.latent(e); err != nil {
			return nil, nil, err
		}
	}
	for i, e := range texts {
		var err error
		if conditioning[i], err = r.conditioning(e); err != nil {
			return nil, nil, err
		}
	}
	return latents, conditioning, nil
}

var (
	_ nodes.Fingerprinter = (*LoadTrainingDataset)(nil)
	_ nodes.Chooser       = (*LoadTrainingDataset)(nil)
)
