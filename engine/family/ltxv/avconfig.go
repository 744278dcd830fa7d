package ltxv

import (
	"encoding/json"
	"fmt"

	"comfygo/engine/weights"
)

// avConfig is the config of LTX-Video 2's graphs: config and sound hold the streams of video and audio. Upstream:
// ldm/lightricks/av_model.py LTXAVModel.
type avConfig struct {
	config
	sound config
	avSettings
	// videoText and soundText are the widths of the text encodings that cross-attention reads.
	videoText, soundText int
	// captions, when set, is the width of encodings that MLPs after the connectors project; see captionsFirst.
	captions int
	// captionsFirst reports that connectors make encodings of the widths videoText and soundText, projected that a linear layer
	// before them does.
	captionsFirst, projected bool
	// shifted reports that cross-attention to the text is modulated, marked that frames which stand alone have a learned mark.
	shifted, marked bool
	// connectors are the connectors of the text, or nil.
	connectors *connectors
}

// avSettings are the settings of LTX-Video 2 in a file's metadata, under upstream's names.
type avSettings struct {
	AudioHeads     int       `json:"audio_num_attention_heads"`
	AudioReach     []float64 `json:"audio_positional_embedding_max_pos"`
	CrossScale     float64   `json:"av_ca_timestep_scale_multiplier"`
	PromptTimes    bool      `json:"use_prompt_adaln_single"`
	TextHeads      int       `json:"connector_num_attention_heads"`
	AudioTextHeads int       `json:"audio_connector_num_attention_heads"`
	TextRope       string    `json:"rope_type"`
}

// The sizes of an audio latent: channels and frequency bins, whose product is the width of a token.
const (
	audioChannels = 8
	audioBins     = 16
	audioWidth    = audioChannels * audioBins
)

func parseAVSettings(src weights.Source) (avSettings, error) {
	s := avSettings{AudioHeads: 32, AudioReach: []float64{20}, CrossScale: 1, PromptTimes: true, TextHeads: 30, TextRope: ropeSplit}
	text, ok := src.Metadata()["config"]
	if !ok {
		return s, nil
	}
	doc := struct {
		Transformer *avSettings `json:"transformer"`
	}{&s}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return s, fmt.Errorf("reading the metadata entry config: %w", err)
	}
	if s.AudioTextHeads == 0 {
		s.AudioTextHeads = s.TextHeads
	}
	if s.AudioHeads <= 0 || s.TextHeads <= 0 || s.AudioTextHeads <= 0 || len(s.AudioReach) != 1 || s.AudioReach[0] <= 0 {
		return s, fmt.Errorf("reading the metadata entry config: %d, %d and %d attention heads, audio positions up to %v: wanted positive numbers, and one position", s.AudioHeads, s.TextHeads, s.AudioTextHeads, s.AudioReach)
	}
	return s, nil
}

// readAVConfig reads the config of a transformer of video and audio from its shapes and metadata.
func readAVConfig(src weights.Source) (avConfig, error) {
	s := weights.NewScope(src)
	video, err := parseSettings(src)
	if err != nil {
		return avConfig{}, err
	}
	set, err := parseAVSettings(src)
	if err != nil {
		return avConfig{}, err
	}
	if set.AudioTextHeads == 0 {
		set.AudioTextHeads = set.TextHeads
	}
	in, sound := s.Shape("patchify_proj.weight"), s.Shape("audio_patchify_proj.weight")
	text, soundText := s.Shape("transformer_blocks.0.attn2.to_k.weight"), s.Shape("transformer_blocks.0.audio_attn2.to_k.weight")
	blocks := s.Count("transformer_blocks")
	if len(in) != 2 || len(sound) != 2 || len(text) != 2 || len(soundText) != 2 || in[0]%(2*video.Heads) != 0 || sound[0]%(2*set.AudioHeads) != 0 || blocks == 0 {
		return avConfig{}, fmt.Errorf("reading the shape of the network: patchify_proj.weight is %v, audio_patchify_proj.weight %v, the text encodings of block 0 are read by %v and %v; %d transformer blocks, %d and %d attention heads",
			in, sound, text, soundText, blocks, video.Heads, set.AudioHeads)
	}
	if sound[1] != audioWidth || in[1] != Latent.Channels {
		return avConfig{}, fmt.Errorf("reading the shape of the network: it reads video latents of %d channels and audio tokens of %d values, wanted %d and %d", in[1], sound[1], Latent.Channels, audioWidth)
	}
	audio := video
	audio.Heads, audio.Reach = set.AudioHeads, set.AudioReach
	c := avConfig{
		config:     config{hidden: in[0], heads: video.Heads, channels: in[1], text: text[1], blocks: blocks, settings: video},
		sound:      config{hidden: sound[0], heads: set.AudioHeads, channels: sound[1], text: soundText[1], blocks: blocks, settings: audio},
		avSettings: set, videoText: text[1], soundText: soundText[1],
		shifted: s.Has("transformer_blocks.0.prompt_scale_shift_table"), marked: s.Has("keyframes_abs_pos_embedding"),
	}
	const first, second = "caption_projection.linear_1.weight", "caption_projection.linear_2.weight"
	if width := s.Shape(first); len(width) == 2 {
		c.projected = !s.Has(second)
		if !c.projected {
			c.captions = width[1]
		}
	}
	c.captionsFirst = !s.Has(second)
	if c.shifted && !set.PromptTimes {
		return c, fmt.Errorf("reading the metadata entry config: cross-attention is modulated by the timestep, and use_prompt_adaln_single is off: no known model is of this form")
	}
	c.connectors, err = readConnectors(s, c)
	return c, err
}
