package triposplat

import (
	"image"

	"comfygo/engine/family"
)

// Render shows splats.
func Render(s family.Splats, yaw, pitch float64, largest int) *image.RGBA {
	return view{yaw, pitch, largest}.render(s)
}
