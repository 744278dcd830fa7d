package loaders

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&CheckpointLoader{}) }

// CheckpointLoader opens a checkpoint with a config file of the original repository beside it.
type CheckpointLoader struct {
	Config string `in:"config_name" files:"configs"`
	Name   string `in:"ckpt_name" files:"checkpoints"`
}

// Spec implements nodes.Node.
func (*CheckpointLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CheckpointLoader", DisplayName: "Load Checkpoint With Config (DEPRECATED)", Category: "model/loaders", Deprecated: true,
		Description:   "Loads a checkpoint and takes the prediction type and the text encoder's layer from a config file. Load Checkpoint finds both by itself.",
		SearchAliases: []string{"load model", "model loader"},
		Outputs:       nodes.Outputs("MODEL", "CLIP", "VAE"), Uses: nodes.UsesDevice,
	}
}

// checkpointConfig holds the relevant fields of a config file.
type checkpointConfig struct {
	parameterization string
	layer            *int // of the text encoder
}

// maxConfig bounds the size of a config file in bytes; those that are known have up to 4500.
const maxConfig = 1 << 16

func readConfig(path string) (checkpointConfig, error) {
	var c checkpointConfig
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint's config: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("it has more than %d KiB", maxConfig>>10)
	}
	if err == nil {
		c, err = parseConfig(data)
	}
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint's config %s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads the tree of a config, not the values: decoding a mapping takes time and memory that grow with the square of its
// keys. Only what is read of it is decoded.
func parseConfig(data []byte) (checkpointConfig, error) {
	var c checkpointConfig
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return c, err
	}
	params := at(&tree, "model", "params")
	text := at(params, "cond_stage_config")
	if text == nil {
		return c, errors.New("model.params.cond_stage_config is missing: it is no config of a Stable Diffusion checkpoint")
	}
	if n := at(params, "parameterization"); n != nil {
		c.parameterization = n.Value
	}
	if n := at(text, "params", "layer_idx"); n != nil && n.ShortTag() != "!!null" {
		if err := n.Decode(&c.layer); err != nil {
			return c, fmt.Errorf("layer_idx: %w", err)
		}
	}
	return c, nil
}

// at returns the value below a node under a sequence of keys, or nil. Of equal keys the last one counts, as in Python.
func at(n *yaml.Node, keys ...string) *yaml.Node {
	n = resolved(n)
	for _, key := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var found *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				found = n.Content[i+1]
			}
		}
		n = resolved(found)
	}
	return n
}

// resolved follows a document and an alias to what they stand for.
func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	if n != nil && n.Kind == yaml.AliasNode { // the parser refuses aliases of aliases
		n = n.Alias
	}
	return n
}

// Run implements nodes.Node.
func (n *CheckpointLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "configs", n.Config)
	if err != nil {
		return nodes.Result{}, err
	}
	c, err := readConfig(path)
	if err != nil {
		return nodes.Result{}, err
	}
	if path, err = find(ctx, "checkpoints", n.Name); err != nil {
		return nodes.Result{}, err
	}
	m, clip, v, err := ctx.Engine.LoadCheckpoint(path)
	if err != nil {
		return nodes.Result{}, err
	}
	if m, clip, err = c.apply(m, clip); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m, orNone(clip), orNone(v)), nil
}

// apply sets the prediction type and the text encoder's layer of the config.
func (c checkpointConfig) apply(m *engine.Model, clip *engine.CLIP) (*engine.Model, *engine.CLIP, error) {
	if c.parameterization == "v" {
		ms, err := sampling.NewModelSampling(sampling.VPrediction, m.Sampling().Settings())
		if err != nil {
			return nil, nil, err
		}
		m = m.WithSampling(ms)
	}
	if c.layer != nil && clip != nil {
		clip = clip.WithLayer(*c.layer)
	}
	return m, clip, nil
}
