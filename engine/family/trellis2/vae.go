package trellis2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(shapeKind{})
	family.Register(textureKind{})
}

// shapeKind is the family of the decoders of structure and shape, textureKind that of the decoder of textures.
type (
	shapeKind   struct{}
	textureKind struct{}
)

// Name implements family.Family.
func (shapeKind) Name() string { return "Trellis 2 shape VAE" }

// Name implements family.Family.
func (textureKind) Name() string { return "Trellis 2 texture VAE" }

// Rank implements family.Family.
func (shapeKind) Rank() int { return 217 }

// Rank implements family.Family.
func (textureKind) Rank() int { return 218 }

// The numbers of values of the smallest cells: of a shape its vertex, the axes that it crosses and how its squares are cut, of a texture its color, whether
// it is metal, how rough it is and its alpha.
const (
	shapeValues   = 7
	textureValues = 6
)

// cellVAE is what both have in common.
type cellVAE struct {
	src weights.Source
	*decoder
}

// Info implements family.Autoencoder.
func (cellVAE) Info() family.VAEInfo {
	return family.VAEInfo{Channels: channels, Downscale: 1, Volume: true, Untiled: true, CanDecode: true}
}

// Weights implements family.Autoencoder.
func (v cellVAE) Weights() []weights.Source { return []weights.Source{v.src} }

var errImages = errors.New("the VAE of Trellis 2 decodes cells, and encodes nothing: use VaeDecodeStructureTrellis2, VaeDecodeShapeTrellis or VaeDecodeTextureTrellis")

// Decode implements family.Autoencoder.
func (cellVAE) Decode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errImages
}

// Encode implements family.Autoencoder.
func (cellVAE) Encode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errImages
}

// DecodeMemory implements family.Autoencoder: of the last level, for cells of which a quarter of the parts are taken each time, as of surfaces.
func (v cellVAE) DecodeMemory(latent []int) int64 {
	const grows = 4
	n := 1
	if len(latent) > 2 {
		n = tensor.Count(latent[2:])
	}
	most := v.memory(0, n, 1)
	for i := 1; i < len(v.levels) && n < mostCells/grows; i++ {
		most = max(most, v.memory(i, n, grows*n))
		n *= grows
	}
	return most
}

// EncodeMemory implements family.Autoencoder.
func (cellVAE) EncodeMemory([]int) int64 { return 0 }

// checkGuides fails for guides of another number of levels.
func (v cellVAE) checkGuides(guides []family.Cells) error {
	if len(guides) != v.Divisions() {
		return fmt.Errorf("the shape was divided %d times, and the VAE divides %d times: connect the shape_subdivides of VaeDecodeShapeTrellis", len(guides), v.Divisions())
	}
	return nil
}

// guided is next with the parts that a guide takes.
func (v cellVAE) guided(ctx context.Context, run family.Runner, state volume, i int, guide family.Cells) (volume, error) {
	if !slices.Equal(guide.At, state.at) || guide.Values == nil || guide.Values.Len() != parts*len(state.at)/axes {
		return volume{}, fmt.Errorf("the shape has %d cells of level %d and the texture %d, or others: connect the shape_subdivides that were decoded of the latent of which Trellis2TextureStage made this one", guide.Count(), i-1, len(state.at)/axes)
	}
	return v.next(ctx, run, state, i, guide.Values.Data)
}

// shapeVAE is a file of decoders of structure and shape.
type shapeVAE struct {
	cellVAE
	dense *dense // nil if the file lacks it
}

var _ family.Shaper = (*shapeVAE)(nil)

// Read implements family.VAE. Upstream: sd.py VAE, ldm/trellis2/vae.py ShapeVae.
func (shapeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("shape_dec.from_latent.weight") || !s.HasAny("shape_dec.blocks") {
		return nil, nil
	}
	d, err := readDecoder(src, "shape_dec")
	if err != nil {
		return nil, err
	}
	if d.out != shapeValues || !d.predicts {
		return nil, fmt.Errorf("reading the shape of the decoder shape_dec: it gives %d values a cell, wanted %d, and to_subdiv layers that tell how cells are divided", d.out, shapeValues)
	}
	v := &shapeVAE{cellVAE: cellVAE{src, d}}
	if v.dense, err = readDense(src); err != nil {
		return nil, err
	}
	return v, nil
}

// StructureChannels implements family.Shaper.
func (v *shapeVAE) StructureChannels() int {
	if v.dense == nil {
		return 0
	}
	return v.dense.latent
}

// DecodeStructure implements family.Shaper.
func (v *shapeVAE) DecodeStructure(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.dense == nil {
		return nil, errors.New("the file has no decoder of structures (struct_dec): load the shape VAE of Trellis 2")
	}
	return v.dense.decode(ctx, run, z)
}

// DecodeShape implements family.Shaper.
func (v *shapeVAE) DecodeShape(ctx context.Context, run family.Runner, c family.Cells, given []family.Cells, resolution int) (family.CellMesh, []family.Cells, error) {
	if given != nil {
		if err := v.checkGuides(given); err != nil {
			return family.CellMesh{}, nil, err
		}
	}
	state, err := v.first(ctx, run, c, shapeMean[:], shapeDeviation[:])
	if err != nil {
		return family.CellMesh{}, nil, err
	}
	var guides []family.Cells
	for i := 1; i < len(v.levels); i++ {
		guide := family.Cells{At: state.at, Values: state.parts.Index(0)}
		if given != nil {
			guide = given[i-1]
		}
		guides = append(guides, guide)
		if state, err = v.guided(ctx, run, state, i, guide); err != nil {
			return family.CellMesh{}, nil, err
		}
	}
	mesh, err := surface(ctx, state.at, state.x.Data, resolution)
	return mesh, guides, err
}

// Divide implements family.Shaper. Upstream: SparseUnetVaeDecoder.upsample.
func (v *shapeVAE) Divide(ctx context.Context, run family.Runner, c family.Cells, times int) ([]int32, error) {
	if times < 1 || times >= len(v.levels) {
		return nil, fmt.Errorf("dividing cells %d times: the VAE has %d levels", times, len(v.levels))
	}
	state, err := v.first(ctx, run, c, shapeMean[:], shapeDeviation[:])
	for i := 1; i < times && err == nil; i++ {
		state, err = v.next(ctx, run, state, i, state.parts.Data)
	}
	if err != nil {
		return nil, err
	}
	at, _, err := divided(ctx, state.at, state.parts.Data)
	return at, err
}

// textureVAE is a file of the decoder of textures.
type textureVAE struct{ cellVAE }

var _ family.Painter = (*textureVAE)(nil)

// Read implements family.VAE. Upstream: sd.py VAE, ldm/trellis2/vae.py TextureVae.
func (textureKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("txt_dec.from_latent.weight") || !s.HasAny("txt_dec.blocks") {
		return nil, nil
	}
	d, err := readDecoder(src, "txt_dec")
	if err != nil {
		return nil, err
	}
	if d.out != textureValues || d.predicts {
		return nil, fmt.Errorf("reading the shape of the decoder txt_dec: it gives %d values a cell, wanted %d, and no to_subdiv layers", d.out, textureValues)
	}
	return &textureVAE{cellVAE{src, d}}, nil
}

// DecodeTexture implements family.Painter.
func (v *textureVAE) DecodeTexture(ctx context.Context, run family.Runner, c family.Cells, guides []family.Cells) (family.Cells, error) {
	if err := v.checkGuides(guides); err != nil {
		return family.Cells{}, err
	}
	state, err := v.first(ctx, run, c, textureMean[:], textureDeviation[:])
	if err != nil {
		return family.Cells{}, err
	}
	for i, guide := range guides {
		if state, err = v.guided(ctx, run, state, i+1, guide); err != nil {
			return family.Cells{}, err
		}
	}
	out := tensor.New(len(state.at)/axes, textureValues)
	for i, x := range state.x.Data {
		out.Data[i] = x*0.5 + 0.5
	}
	return family.Cells{At: state.at, Values: out}, nil
}
