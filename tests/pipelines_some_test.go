//go:build !fullsize

package tests_test

// repeats are the recorded workflows that differ from another one in a value only, of which recorded calls of nodes and of sampling hold
// every choice: clip skips, areas in per cent, ways of scaling a latent. `make golden` runs them.
var repeats = []string{
	"clipskip_5", "cond_area_pct", "cond_mask_default", "hires_area", "hires_bilinear", "hires_nearest-exact", "inpaint_model_nomask",
}
