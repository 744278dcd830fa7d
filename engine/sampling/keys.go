package sampling

import (
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/tensor"
)

// The keys of a conditioning entry's values, as upstream spells them, and their Go types. Nodes write them; samplers and
// model families read them.
const (
	KeyArea          = "area"                    // Area
	KeyStrength      = "strength"                // float64
	KeyMask          = "mask"                    // *tensor.Tensor [B,H,W]
	KeyMaskStrength  = "mask_strength"           // float64
	KeyMaskBounds    = "set_area_to_bounds"      // bool
	KeyStart         = "start_percent"           // float64
	KeyEnd           = "end_percent"             // float64
	KeyDefault       = "default"                 // bool
	KeyConcatLatent  = "concat_latent_image"     // *tensor.Tensor [B,C,H,W]
	KeyConcatMask    = "concat_mask"             // *tensor.Tensor [B,H,W]
	KeyControl       = "control"                 // what steers the network, for Cond.Control
	KeyControlForAll = "control_apply_to_uncond" // bool
	KeyGLIGEN        = "gligen"                  // a grounding network with its boxes
	KeyHooks         = "hooks"
	KeyClipStart     = "clip_start_percent" // float64
	KeyClipEnd       = "clip_end_percent"   // float64
	KeyWidth         = "width"              // int, pixels
	KeyHeight        = "height"             // int, pixels
	KeyCropWidth     = "crop_w"             // int, pixels
	KeyCropHeight    = "crop_h"             // int, pixels
	KeyTargetWidth   = "target_width"       // int, pixels
	KeyTargetHeight  = "target_height"      // int, pixels
	KeyAesthetic     = "aesthetic_score"    // float64

	KeyConcatMaskIndex = "concat_mask_index"   // int, before which channel of the latent the mask goes
	KeyVisionOutput    = "clip_vision_output"  // an encoded image
	KeyVisionOutputs   = "clip_vision_outputs" // []any, encoded reference images
	KeyTimeConcat      = "time_dim_concat"     // *tensor.Tensor [B,C,T,H,W], frames after those of the video
	KeyContextLatents  = "context_latents"     // []any of *tensor.Tensor [B,C,T,H,W], videos beside the one that is made

	KeyFPS          = "fps"                // int, frames per second
	KeyMotionBucket = "motion_bucket_id"   // int, amount of motion
	KeyAugmentation = "augmentation_level" // float64, noise in the image
	KeyElevation    = "elevation"          // []float64 of each frame, or float64, degrees
	KeyAzimuth      = "azimuth"            // []float64 of each frame, or float64, degrees

	KeyGuidance        = "guidance"                      // float64, or nil for a network without the input
	KeyReferences      = "reference_latents"             // []any of *tensor.Tensor [B,C,H,W]; see References
	KeyReferenceText   = "reference_latents_text_embeds" // []any of *tensor.Tensor [B,tokens,width], texts before and after reference latents
	KeyReferenceMethod = "reference_latents_method"      // string
	KeyAttentionMask   = "attention_mask"                // *tensor.Tensor
	KeyMaskImage       = "attention_mask_img_shape"      // []int, rows and columns of the mask's image tokens
	KeyUnCLIP          = "unclip_conditioning"           // []any, encoded images with strength and noise
	KeyControlText     = "cross_attn_controlnet"         // *tensor.Tensor [B,tokens,width], the text that ControlNets read
	KeyFrameRate       = "frame_rate"                    // float64 or int, frames per second
	KeyGuidePlaces     = "keyframe_idxs"                 // *tensor.Tensor [B,3,tokens,2], corners of the tokens of guides
	KeyGuideEntries    = "guide_attention_entries"       // []GuideEntry, the guides in order
	KeyReferenceAudio  = "ref_audio"                     // map[string]any with "tokens", *tensor.Tensor [B,tokens,width], audio latents
	KeyGuidingFrame    = "guiding_frame_index"           // int, timestep of the frame that is given
	KeyRefLatent       = "ref_latent"                    // *tensor.Tensor [B,C,T,H,W]
	KeyNoiseAugment    = "noise_augmentation"            // float64, noise in the latent that is upscaled
	KeySecondsStart    = "seconds_start"                 // float64 or int, where the audio begins in the whole
	KeySecondsTotal    = "seconds_total"                 // float64 or int, duration of the whole
	KeyLyricsStrength  = "lyrics_strength"               // float64
	KeyDecodedLatent   = "lq_latent"                     // *tensor.Tensor [B,C,H,W], the latent that PiD decodes, as its own model reads it
	KeyDecodedSigma    = "degrade_sigma"                 // *tensor.Tensor [1], the noise in it
	KeyControlPooled   = "pooled_output_controlnet"      // *tensor.Tensor [B,width], which comes with it
	KeyFineImage       = "embeds"                        // *tensor.Tensor [B,tokens,width], an image that is encoded at twice the size
	KeyStage           = "trellis2_generation_mode"      // string, the network of Trellis 2
	KeyCells           = "trellis2_coords"               // *tensor.Tensor [N,4], cells of volumes: item, x, y, z
	KeyCellCounts      = "trellis2_coord_counts"         // []int, the cells of each item
	KeyShapeLatent     = "trellis2_shape_slat"           // *tensor.Tensor [N,C], the shape of the cells
	KeyModelFrame      = "trellis2_model_frame"          // string, "y_up" or "z_up"
	KeyProjected       = "trellis2_proj_feats"           // *tensor.Tensor [N,C] or [B,N,C], image features of cells
	KeyProjection      = "proj_feat_pack"                // what image features of cells are made of
	KeyCondition       = "condition"                     // *tensor.Tensor [B,C,T,H,W], the latent of the video that SeedVR2 restores, with a mask as the last channel
)

// References returns the reference latents of an entry as the network reads them, in order.
func References(c *Cond, f LatentFormat) ([]*tensor.Tensor, error) {
	out, err := Tensors(c, KeyReferences)
	if err != nil {
		return nil, err
	}
	for i, t := range out {
		out[i] = f.In(t)
	}
	return out, nil
}

// Tensors returns the tensors in a list of an entry, or none if the list is missing.
func Tensors(c *Cond, key string) ([]*tensor.Tensor, error) {
	var list []any
	c.note(key)
	switch v := c.Values[key].(type) {
	case nil:
	case []any:
		list = v
	case []*tensor.Tensor:
		for _, t := range v {
			list = append(list, t)
		}
	default:
		return nil, fmt.Errorf("reading a conditioning entry: its %s are of type %T, wanted tensors", key, v)
	}
	out := make([]*tensor.Tensor, len(list))
	for i, v := range list {
		t, ok := v.(*tensor.Tensor)
		if !ok || t == nil || len(t.Shape) < 3 || t.Len() == 0 {
			return nil, fmt.Errorf("reading a conditioning entry: %d of its %s is no latent", i, key)
		}
		out[i] = t
	}
	return out, nil
}

// Value returns a value of an entry by its key, or the zero value if the key is missing. A value of another type is an
// error.
func Value[T any](c *Cond, key string) (T, error) {
	var zero T
	c.note(key)
	v, ok := c.Values[key]
	if !ok || v == nil {
		return zero, nil
	}
	t, ok := As[T](v)
	if !ok {
		return zero, fmt.Errorf("reading a conditioning entry: its %s is of type %T, wanted %T", key, v, zero)
	}
	return t, nil
}

// Number returns a number of an entry by its key, of type int or float64; zero if the entry lacks it.
func Number(c *Cond, key string) (float64, error) {
	if n, ok := c.Values[key].(int); ok {
		c.note(key)
		return float64(n), nil
	}
	return Value[float64](c, key)
}

// Watched returns the entry with a record of which of its values Value and References read.
func (c *Cond) Watched() *Cond {
	w := *c
	w.read = map[string]bool{}
	return &w
}

// Unread lists the keys of the values that were not read since Watched, sorted. A nil value asks for nothing, and an
// attention mask is there with every encoding of some text encoders, whatever the model: neither is listed.
func (c *Cond) Unread() []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(c.Values)) {
		if c.Values[key] != nil && !c.read[key] && key != KeyAttentionMask {
			keys = append(keys, key)
		}
	}
	return keys
}

// note records that a value is read.
func (c *Cond) note(key string) {
	if c.read != nil {
		c.read[key] = true
	}
}
