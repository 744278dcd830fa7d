package cudacheck

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/weights"
)

// watched is a family in a role; the checker records the files that it reads.
type watched struct {
	family.Family
	role family.Role
	c    *Checker
}

// String names the family and the role.
func (w *watched) String() string { return fmt.Sprintf("%s: %s", w.role, w.Name()) }

// of returns a family in a role as one that is watched.
func (c *Checker) of(role family.Role, f family.Family) *watched {
	w := &watched{f, role, c}
	c.families[w] = false
	return w
}

// seen records that the family has read a network, unless it is nil.
func seen[T comparable](w *watched, v T, err error) (T, error) {
	var none T
	if err == nil && v != none {
		w.c.read = append(w.c.read, w)
	}
	return v, err
}

// watch returns a registry of the same families.
func (c *Checker) watch(reg *family.Registry) *family.Registry {
	out := &family.Registry{}
	for _, f := range reg.Diffusion() {
		out.Register(diffusion{c.of(family.RoleDiffusion, f), f})
	}
	for _, f := range reg.Text() {
		w := text{c.of(family.RoleText, f), f}
		if p, ok := f.(family.Prefixed); ok {
			out.Register(prefixed{w, p})
		} else {
			out.Register(w)
		}
	}
	for _, f := range reg.Schemes() {
		out.Register(f)
	}
	for _, f := range reg.VAEs() {
		out.Register(vae{c.of(family.RoleVAE, f), f})
	}
	for _, f := range reg.Controls() {
		out.Register(control{c.of(family.RoleControl, f), f})
	}
	for _, f := range reg.Upscalers() {
		out.Register(upscaler{c.of(family.RoleUpscale, f), f})
	}
	for _, f := range reg.Interpolators() {
		out.Register(interpolator{c.of(family.RoleInterpolation, f), f})
	}
	for _, f := range reg.Visions() {
		out.Register(vision{c.of(family.RoleVision, f), f})
	}
	for _, f := range reg.Styles() {
		out.Register(style{c.of(family.RoleStyle, f), f})
	}
	for _, f := range reg.Identities() {
		out.Register(identity{c.of(family.RoleIdentity, f), f})
	}
	for _, f := range reg.Audios() {
		out.Register(audio{c.of(family.RoleAudio, f), f})
	}
	for _, f := range reg.ModelPatches() { // a network for each model: their own tests write the graphs
		c.of(family.RolePatch, f)
	}
	return out
}

type diffusion struct {
	*watched
	f family.Diffusion
}

// Read implements family.Diffusion.
func (x diffusion) Read(src, whole weights.Source) (family.Denoiser, error) {
	v, err := x.f.Read(src, whole)
	return seen(x.watched, v, err)
}

type text struct {
	*watched
	f family.Text
}

// Read implements family.Text.
func (x text) Read(src weights.Source) (family.TextEncoder, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

// prefixed is a family whose files have prefixes of their own.
type prefixed struct {
	text
	own family.Prefixed
}

// Prefixes implements family.Prefixed.
func (x prefixed) Prefixes() []string { return x.own.Prefixes() }

type vae struct {
	*watched
	f family.VAE
}

// Read implements family.VAE.
func (x vae) Read(src weights.Source) (family.Autoencoder, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

type control struct {
	*watched
	f family.Control
}

// Read implements family.Control.
func (x control) Read(src weights.Source) (family.ControlNetwork, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

type interpolator struct {
	*watched
	f family.Interpolator
}

// ReadInterpolator implements family.Interpolator.
func (x interpolator) ReadInterpolator(src weights.Source) (family.InterpolationNetwork, error) {
	v, err := x.f.ReadInterpolator(src)
	return seen(x.watched, v, err)
}

type upscaler struct {
	*watched
	f family.Upscaler
}

// Read implements family.Upscaler.
func (x upscaler) Read(src weights.Source) (family.UpscaleNetwork, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

type vision struct {
	*watched
	f family.Vision
}

// Read implements family.Vision.
func (x vision) Read(src weights.Source) (family.ImageEncoder, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

type style struct {
	*watched
	f family.Style
}

// Read implements family.Style.
func (x style) Read(src weights.Source) (family.StyleNetwork, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}

type identity struct {
	*watched
	f family.Identity
}

// ReadIdentity implements family.Identity.
func (x identity) ReadIdentity(src weights.Source) (family.IdentityNetwork, error) {
	v, err := x.f.ReadIdentity(src)
	return seen(x.watched, v, err)
}

type audio struct {
	*watched
	f family.Audio
}

// Read implements family.Audio.
func (x audio) Read(src weights.Source) (family.AudioEncoder, error) {
	v, err := x.f.Read(src)
	return seen(x.watched, v, err)
}
