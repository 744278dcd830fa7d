package inspect

import (
	"fmt"
	"strings"

	"comfygo/engine/family"
)

// wanted is the kind of part for which the loaders of a model folder open its files.
var wanted = map[string]string{
	"background_removal":  family.RoleBackground.String(),
	"checkpoints":         family.RoleDiffusion.String(),
	"clip_vision":         family.RoleVision.String(),
	"audio_encoders":      family.RoleAudio.String(),
	"controlnet":          family.RoleControl.String(),
	"detection":           family.RoleFace.String(),
	"diffusion_models":    family.RoleDiffusion.String(),
	"frame_interpolation": family.RoleInterpolation.String(),
	"geometry_estimation": family.RoleGeometry.String(),
	"loras":               family.KindLoRA,
	"model_patches":       family.RolePatch.String(),
	"optical_flow":        family.RoleOpticalFlow.String(),
	"text_encoders":       family.RoleText.String(),
	"upscale_models":      family.RoleUpscale.String(),
	"vae":                 family.RoleVAE.String(),
}

// Covers reports whether files of a model folder can be described.
func Covers(folder string) bool { return wanted[folder] != "" }

// Problem returns the reason why a file cannot be used from a model folder, or "": it is unusable, or it is not of the type
// that the folder's loaders expect.
func Problem(d family.Description, folder string) string {
	want := wanted[folder]
	switch {
	case want == "":
		return ""
	case !d.Runs && d.Family != "" && d.Advice != "":
		return d.Why + "; " + d.Advice
	case !d.Runs:
		return d.Why
	case !d.Holds(want):
		return fmt.Sprintf("it holds no %s, but %s (%s): it belongs into another folder", want, strings.Join(d.Kinds, " and "), family.Loader(d.Kinds[0]))
	}
	return ""
}
