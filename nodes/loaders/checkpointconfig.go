package loaders

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

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
	Model struct {
		Params *struct {
			Parameterization string `yaml:"parameterization"`
			Text             *struct {
				Params struct {
					Layer *int `yaml:"layer_idx"`
				} `yaml:"params"`
			} `yaml:"cond_stage_config"`
		} `yaml:"params"`
	} `yaml:"model"`
}

// maxConfig bounds the size of a config file in bytes; those that are known have some 3000.
const maxConfig = 1 << 20

func readConfig(path string) (checkpointConfig, error) {
	var c checkpointConfig
	f, err := os.Open(path)
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint's config: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = errors.New("it has more than a mebibyte")
	}
	if err == nil {
		err = yaml.Unmarshal(data, &c)
	}
	if err == nil && (c.Model.Params == nil || c.Model.Params.Text == nil) {
		err = errors.New("model.params.cond_stage_config is missing: it is no config of a Stable Diffusion checkpoint")
	}
	if err != nil {
		return c, fmt.Errorf("reading a checkpoint's config %s: %w", path, err)
	}
	return c, nil
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
	if c.Model.Params.Parameterization == "v" {
		ms, err := sampling.NewModelSampling(sampling.VPrediction, m.Sampling().Settings())
		if err != nil {
			return nil, nil, err
		}
		m = m.WithSampling(ms)
	}
	if layer := c.Model.Params.Text.Params.Layer; layer != nil && clip != nil {
		clip = clip.WithLayer(*layer)
	}
	return m, clip, nil
}
