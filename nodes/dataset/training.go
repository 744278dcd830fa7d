package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&MakeTrainingDataset{})
	nodes.Register(&SaveTrainingDataset{})
	nodes.Register(&LoadTrainingDataset{})
}

// MakeTrainingDataset encodes images and captions.
type MakeTrainingDataset struct {
	Images []*tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Images to encode."`
	VAE    []*engine.VAE    `in:"vae" type:"VAE" tooltip:"VAE that encodes the images."`
	CLIP   []*engine.CLIP   `in:"clip" type:"CLIP" tooltip:"Text encoder for the captions."`
	Texts  []string         `in:"texts" optional:"true" forceInput:"true" tooltip:"Captions: one an image, one for all, or none for empty ones."`
}

// Spec implements nodes.Node.
func (*MakeTrainingDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MakeTrainingDataset", DisplayName: "Make Training Dataset", Category: "model/training",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "LATENT", Name: "latents", List: true, Tooltip: "The encoded images."}, {Type: "CONDITIONING", Name: "conditioning", List: true, Tooltip: "The encoded captions."}},
		InputIsList:   true,
		Experimental:  true,
		Description:   "Encodes images with a VAE and captions with a text encoder to a dataset for training.",
		SearchAliases: []string{"encode dataset"},
		Uses:          nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*MakeTrainingDataset) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. Equal captions are encoded once.
func (n *MakeTrainingDataset) Run(ctx *nodes.Context) (nodes.Result, error) {
	if len(n.VAE) == 0 || n.VAE[0] == nil || len(n.CLIP) == 0 || n.CLIP[0] == nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "making a dataset: there is no VAE or no text encoder. A checkpoint without one was loaded; add a node that loads it from its own file")
	}
	texts := n.Texts
	if len(texts) == 0 {
		texts = []string{""}
	}
	if len(texts) == 1 && len(n.Images) > 1 {
		texts = slices.Repeat(texts, len(n.Images))
	}
	if len(texts) != len(n.Images) {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a dataset: %d captions for %d images, want as many, one or none", len(texts), len(n.Images))
	}
	latents, conditioning := make([]engine.Latent, len(n.Images)), make([]engine.Conditioning, len(texts))
	all := float64(2 * len(texts))
	for i, image := range n.Images {
		z, err := n.VAE[0].Encode(ctx, image)
		if err != nil {
			return nodes.Result{}, fmt.Errorf("encoding image %d: %w", i, err)
		}
		latents[i] = engine.Latent{Samples: z}
		ctx.Progress(float64(i+1), all)
	}
	encoded := map[string]engine.Conditioning{}
	for i, text := range texts {
		if _, ok := encoded[text]; !ok {
			c, err := n.CLIP[0].Encode(ctx, text)
			if err != nil {
				return nodes.Result{}, fmt.Errorf("encoding caption %d: %w", i, err)
			}
			encoded[text] = c
		}
		conditioning[i] = encoded[text]
		ctx.Progress(float64(len(texts)+i+1), all)
	}
	return nodes.Out(latents, conditioning), nil
}

// SaveTrainingDataset writes an encoded dataset.
type SaveTrainingDataset struct {
	Latents      []engine.Latent       `in:"latents" type:"LATENT" tooltip:"Latents, as Make Training Dataset gives them."`
	Conditioning []engine.Conditioning `in:"conditioning" type:"CONDITIONING" tooltip:"Conditioning, one for each latent."`
	FolderName   []string              `in:"folder_name" default:"training_dataset" tooltip:"Folder below the datasets folder; it may have folders in front, as in project/run1."`
	ShardSize    []int                 `in:"shard_size" advanced:"true" default:"1000" min:"1" max:"100000" tooltip:"Number of samples in a file."`
}

// Spec implements nodes.Node.
func (*SaveTrainingDataset) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SaveTrainingDataset", DisplayName: "Save Training Dataset", Category: "model/training",
		Module: "comfy_extras.nodes_dataset", V3: true,

		OutputNode:    true,
		InputIsList:   true,
		Experimental:  true,
		Description:   "Saves latents and conditioning in a folder below the datasets folder.",
		SearchAliases: []string{"export dataset", "save dataset"},
		Uses:          nodes.UsesNothing,
	}
}

// Names of the files of a dataset.
const (
	shardPrefix  = "shard_"
	shardEnding  = ".pkl"
	metadataName = "metadata.json"
)

// Run implements nodes.Node.
func (n *SaveTrainingDataset) Run(ctx *nodes.Context) (nodes.Result, error) {
	if len(n.FolderName) == 0 || len(n.ShardSize) == 0 || n.ShardSize[0] < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "saving a dataset: folder_name or shard_size has no value, or shard_size is below 1")
	}
	if len(n.Latents) != len(n.Conditioning) {
		return nodes.Result{}, nodes.Errorf("ValueError", "saving a dataset: %d latents with %d conditionings, want as many", len(n.Latents), len(n.Conditioning))
	}
	root := ctx.Folders.Roots("datasets")
	if len(root) == 0 {
		return nodes.Result{}, nodes.Errorf("OSError", "saving a dataset: there is no datasets folder")
	}
	dir, err := datasetFolder(root[0], n.FolderName[0])
	if err != nil {
		return nodes.Result{}, err
	}
	values, err := n.samples()
	if err != nil {
		return nodes.Result{}, err
	}
	in, err := folders.MakeDir(root[0], dir)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "making the folder %s: %w", n.FolderName[0], err)
	}
	shards, err := n.write(ctx, in, values)
	if err = errors.Join(err, in.Close()); err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "saving the dataset %s: %w", n.FolderName[0], err)
	}
	if files, err := shardFiles(dir); err == nil && len(files) > shards {
		ctx.Warn(fmt.Sprintf("%s has %d more shards of an earlier dataset, which Load Training Dataset reads as well", n.FolderName[0], len(files)-shards))
	}
	return nodes.Result{}, nil
}

// write writes the files of a dataset.
func (n *SaveTrainingDataset) write(ctx *nodes.Context, in *folders.Dir, values [2][]any) (shards int, err error) {
	samples, size := len(n.Latents), n.ShardSize[0]
	for from := 0; from < samples; from += size {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		to := min(from+size, samples)
		shard := &pickle.Dict{}
		shard.Set("latents", values[0][from:to])
		shard.Set("conditioning", values[1][from:to])
		if err := in.Replace(fmt.Sprintf("%s%04d%s", shardPrefix, shards, shardEnding), func(w io.Writer) error {
			return weights.WriteTorch(w, shard)
		}); err != nil {
			return 0, err
		}
		shards++
		ctx.Progress(float64(to), float64(samples))
	}
	metadata, err := pyjson.IndentASCII(pyjson.NewObject("num_samples", int64(samples), "num_shards", int64(shards), "shard_size", int64(size)), 2)
	if err != nil {
		return 0, err
	}
	return shards, in.Replace(metadataName, func(w io.Writer) error {
		_, err := w.Write(metadata)
		return err
	})
}

// samples are the latents and the conditionings as Python has them.
func (n *SaveTrainingDataset) samples() (values [2][]any, err error) {
	for i, l := range n.Latents {
		v, err := pickledLatent(l)
		if err != nil {
			return values, fmt.Errorf("saving latent %d: %w", i, err)
		}
		values[0] = append(values[0], v)
	}
	for i, c := range n.Conditioning {
		v, err := pickledConditioning(c)
		if err != nil {
			return values, fmt.Errorf("saving conditioning %d: %w", i, err)
		}
		values[1] = append(values[1], v)
	}
	return values, nil
}

// datasetFolder is the path of a folder below a datasets folder.
func datasetFolder(root, name string) (string, error) {
	dir, err := folders.Join(root, name)
	if err != nil {
		return "", nodes.Errorf("ValueError", "opening the dataset %q: it is outside of the datasets folder", name)
	}
	if same, err := filepath.Rel(root, dir); err == nil && same == "." {
		return "", nodes.Errorf("ValueError", "opening the dataset %q: want a folder below the datasets folder, such as my_dataset", name)
	}
	return dir, nil
}

// shardFiles lists the shards of a dataset in their order.
func shardFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), shardPrefix) && strings.HasSuffix(e.Name(), shardEnding) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
