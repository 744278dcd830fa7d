package ltxv

import (
	"encoding/json"
	"fmt"

	"comfygo/engine/weights"
)

// config is the config of a transformer's graph. It is read from the shapes and from the metadata entry "config" of a file.
// Upstream: model_detection.py, ldm/lightricks/model.py.
type config struct {
	// hidden is the width of a token, heads the number of attention heads.
	hidden, heads int
	// channels are the channels of a latent, text is the width of the text encoding.
	channels, text, blocks int

	settings
}

// settings are the settings of a file's metadata, under upstream's names.
type settings struct {
	Heads     int       `json:"num_attention_heads"`
	Theta     float64   `json:"positional_embedding_theta"`
	Reach     []float64 `json:"positional_embedding_max_pos"`
	Causal    bool      `json:"causal_temporal_positioning"`
	Middle    bool      `json:"use_middle_indices_grid"`
	TimeScale float64   `json:"timestep_scale_multiplier"`
	Rope      string    `json:"rope_type"`
	Precision string    `json:"frequencies_precision"`
}

// The forms of rotary embeddings: pairs of neighbours, or of the halves of a head.
const (
	ropeInterleaved = "interleaved"
	ropeSplit       = "split"
)

// pace is the number of frames per latent frame, cell the number of pixels per latent cell along one side.
const (
	pace = 8
	cell = 32
)

// parseSettings reads the transformer's settings in the metadata of a file, the defaults where it has none.
func parseSettings(src weights.Source) (settings, error) {
	s := settings{Heads: 32, Theta: 10000, Reach: []float64{20, 2048, 2048}, TimeScale: 1000, Rope: ropeInterleaved, Precision: "float32"}
	text, ok := src.Metadata()["config"]
	if !ok {
		return s, nil
	}
	doc := struct {
		Transformer *settings `json:"transformer"`
	}{&s}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return s, fmt.Errorf("reading the metadata entry config: %w", err)
	}
	const axes = 3
	switch {
	case s.Heads <= 0 || len(s.Reach) != axes || s.Theta <= 1:
		return s, fmt.Errorf("reading the metadata entry config: %d attention heads, positions up to %v, theta %v: wanted three positive positions, and a theta above 1", s.Heads, s.Reach, s.Theta)
	case s.Rope != ropeInterleaved && s.Rope != ropeSplit:
		return s, fmt.Errorf("reading the metadata entry config: rope_type is %q, known are %s and %s", s.Rope, ropeInterleaved, ropeSplit)
	}
	for _, r := range s.Reach {
		if r <= 0 {
			return s, fmt.Errorf("reading the metadata entry config: positional_embedding_max_pos is %v, wanted positive numbers", s.Reach)
		}
	}
	return s, nil
}

// readConfig reads the config of a transformer from its shapes and metadata.
func readConfig(src weights.Source) (config, error) {
	s := weights.NewScope(src)
	set, err := parseSettings(src)
	if err != nil {
		return config{}, err
	}
	in, text := s.Shape("patchify_proj.weight"), s.Shape("caption_projection.linear_1.weight")
	c := config{heads: set.Heads, blocks: s.Count("transformer_blocks"), settings: set}
	if len(in) != 2 || len(text) != 2 || in[0]%(2*set.Heads) != 0 || c.blocks == 0 {
		return c, fmt.Errorf("reading the shape of the network: patchify_proj.weight is %v, caption_projection.linear_1.weight %v, %d transformer blocks, %d attention heads", in, text, c.blocks, set.Heads)
	}
	c.hidden, c.channels, c.text = in[0], in[1], text[1]
	return c, nil
}
